"""posetalk: human pose and language, both ways."""

__version__ = "0.1.0"
