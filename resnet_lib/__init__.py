"""resnet_lib: the small library that *Residual Networks, Built and Measured* builds."""

from importlib import import_module

__version__ = "0.1.0"


def __getattr__(name: str):
    # The checks were a part of this package before they became one of their own; old notebooks
    # still say `from resnet_lib import checks`.
    if name == "checks":
        return import_module("resnet_checks")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
