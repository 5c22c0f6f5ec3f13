"""The version, where every part of the package may ask for it."""

__version__ = "0.2.0"
