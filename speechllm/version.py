"""The version, which every result names. Imports nothing."""

__version__ = "0.1.0"
