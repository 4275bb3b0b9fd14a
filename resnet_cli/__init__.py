"""The command line: `python -m resnet_lib train`, `evaluate`, `predict` and `summary`."""
