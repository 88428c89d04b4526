"""Versions of packages, as steps know each other again by them."""

from importlib import metadata


def version_of(package: str) -> str | None:
    """Return a package's version; None: it is not installed, and whoever needs it will say so."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
