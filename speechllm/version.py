"""Version of the package, recorded in every result. Imports nothing."""

__version__ = "0.1.0"
