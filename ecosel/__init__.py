"""Choose among trained networks by accuracy, energy per inference, inference time and parameters."""

__version__ = "0.1.0"
