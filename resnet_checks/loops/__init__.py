"""Checks of functions that train and evaluate: one step, an evaluation, gradient accumulation."""
