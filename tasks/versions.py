"""Versions of packages, as steps know each other again by them."""

from importlib import metadata

import torch

from quantcore import ENGINE_VERSION


def version_of(package: str) -> str | None:
    """Return a package's version; None: it is not installed, and whoever needs it will say so."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def own_engine() -> str:
    """Return what decides a result beside the plan: the engine, and the packages that it runs on.

    Builds of one version of torch, for a GPU or without, count as one.
    """
    torch_version = torch.__version__.partition("+")[0]
    return f"{ENGINE_VERSION} (torch {torch_version}, transformers {version_of('transformers')})"
