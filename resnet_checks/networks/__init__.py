"""The check of a whole network: its parts, and one file for each question about them."""
