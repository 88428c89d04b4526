"""Places of tests: a store in any folder, with everything else beside it."""

from pathlib import Path

from infra.store import Place, StoreAddress


def place_at(root: Path) -> Place:
    """Return a place whose store is ``root`` itself."""
    return Place(workspace=root.absolute(), store=StoreAddress(uri=str(root.absolute())))
