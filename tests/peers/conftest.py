"""What the tests against the real clients share; they run in `.venv-peers` (`make test-peers`).

Elsewhere the clients are not installed, and the files here are not collected.
"""

from importlib.util import find_spec
from pathlib import Path

import pytest

collect_ignore_glob = [] if find_spec("auto_round") else ["test_*.py"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say where the exports are that the clients load."""
    parser.addoption(
        "--exports",
        type=Path,
        default=None,
        help="folder with auto_round/ and auto_gptq/, made of the demo model",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything below this folder."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("peers")
