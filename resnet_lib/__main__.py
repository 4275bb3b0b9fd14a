"""`python -m resnet_lib`, also under torchrun."""

import os
import sys

from resnet_cli.main import main

if __name__ == "__main__":
    status = main()
    try:
        sys.stdout.flush()
    except OSError:
        # Whoever read the output is gone, or its disk is full. Python would try once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = status or 1
    sys.exit(status)
