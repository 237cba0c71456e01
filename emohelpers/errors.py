"""Exceptions for what enters from outside: paths, tables, archives, images, labels, weights.

Each message says what was wrong, where (file, row, value) and what would be right.
"""

__all__ = [
    "ArchiveError",
    "CacheError",
    "ConfigurationError",
    "EmohelpersError",
    "FetchError",
    "ImageError",
    "LabelError",
    "MissingPathError",
    "TableError",
]


class EmohelpersError(Exception):
    """Base of every exception that this package raises on purpose."""


class MissingPathError(EmohelpersError, FileNotFoundError):
    """A file or folder that was named does not exist, or is not of the kind that was asked for."""

    # FileNotFoundError formats its arguments as an errno; the message alone is wanted.
    def __str__(self) -> str:
        """Return the message as it was given."""
        return str(self.args[0]) if self.args else ""


class TableError(EmohelpersError, ValueError):
    """A CSV (or a row of one) does not hold what its format asks for."""


class ArchiveError(EmohelpersError, ValueError):
    """An archive is cut short, damaged, unsafe to unpack or larger than its bound."""


class ImageError(EmohelpersError, ValueError):
    """An image file can not be decoded, or its size is out of bounds."""


class LabelError(EmohelpersError, ValueError):
    """A label is not one of the classes that are known."""


class CacheError(EmohelpersError, OSError):
    """The cache can not be written, for instance because the disk is full."""


class FetchError(EmohelpersError, OSError):
    """A download failed, or what came does not match its SHA-256."""


class ConfigurationError(EmohelpersError, ValueError):
    """An argument, a recipe or a saved model is not valid."""
