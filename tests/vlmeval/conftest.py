"""VLMEvalKit at two dates: as it is packaged, and with what came after our default rules undone.

`make test-vlmeval` sets `.venv-vlmeval` up; where it is not there, nothing here is collected.
"""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / ".venv-vlmeval"
PYTHON = ENVIRONMENT / "bin" / "python"
collect_ignore_glob = [] if PYTHON.exists() else ["test_*.py"]

Oracle = Callable[[str, Any], Any]


class Edit(NamedTuple):
    """A later change, to be undone in the package's source."""

    path: str
    now: str
    before: str


LATER = (
    Edit(  # 928a95b0, 2025-05-13: a period after a digit stays
        "smp/misc.py",
        r"periodStrip = re.compile(r'(?<!\d)\.(?!\d)')",
        r"periodStrip = re.compile(r'(?!<=\d)(\.)(?!\d)')",
    ),
    Edit(  # c3371551, 2025-08-04, #1175: a letter counts near the end alone
        "utils/matching_util.py",
        "if ch in splits and splits.index(ch) > (len(splits) - 5):",
        "if ch in splits:",
    ),
    Edit(  # the same: texts of options are not looked for in long answers
        "utils/matching_util.py",
        "    if len(answer) > 2 * sum(len(str(v)) for v in choices.values()):\n"
        "        return False\n",
        "",
    ),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything below this folder."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("vlmeval")


@pytest.fixture(scope="session")
def package() -> Path:
    """Return the folder that the package is installed in."""
    (found,) = ENVIRONMENT.glob("lib/python3.*/site-packages/vlmeval")
    return found


@pytest.fixture(scope="session")
def packaged(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    """Return the functions of the package: `vlmevalkit-e8e78f05` without its last change."""
    return _oracle(package.parent, tmp_path_factory.mktemp("packaged"))


@pytest.fixture(scope="session")
def earlier(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    """Return them with later changes undone: `vlmevalkit-7de2dcb`."""
    site = tmp_path_factory.mktemp("earlier")
    for folder in ("smp", "utils", "dataset/utils"):
        shutil.copytree(
            package / folder,
            site / "vlmeval" / folder,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    for edit in LATER:
        path = site / "vlmeval" / edit.path
        source = path.read_text(encoding="utf-8")
        assert source.count(edit.now) == 1, f"{edit.path} no longer has {edit.now!r} once"
        path.write_text(source.replace(edit.now, edit.before), encoding="utf-8")
    return _oracle(site, tmp_path_factory.mktemp("asked"))


def _oracle(site: Path, folder: Path) -> Oracle:
    def ask(what: str, cases: Any) -> Any:
        request, reply = folder / "request.json", folder / "reply.json"
        request.write_text(json.dumps({"what": what, "cases": cases}), encoding="utf-8")
        script = Path(__file__).with_name("oracle.py")
        ended = subprocess.run(
            [PYTHON, script, site, request, reply],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(reply.read_text(encoding="utf-8"))

    return ask
