"""gradtop: a terminal live monitor for neural-network training."""

__version__ = "0.1.0"
