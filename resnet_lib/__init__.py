"""resnet_lib: the small library that *Residual Networks, Built and Measured* builds."""

__version__ = "0.1.0"
