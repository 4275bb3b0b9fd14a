"""The command line: `python -m resnet_lib train`, `evaluate` and `summary`."""
