"""Calls that a release must never make, found in the text of the product.

ruff finds the functions (`banned-api` in pyproject.toml), but these are methods, too, and it cannot
follow an object.  So every use and every string of these names counts, wherever it is.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("quantcore", "infra", "tasks", "flows")
FORBIDDEN = {
    "upload_folder": "may make several commits of one folder",
    "upload_large_folder": "makes many commits",
    "upload_file": "makes a commit a file",
    "push_to_hub": "uploads folder by folder",
    "super_squash_history": "orphans the commits that cards name",
    "permanently_delete_lfs_files": "breaks old revisions",
}


def forbidden_calls(source: str, name: str) -> Iterator[str]:
    """Yield a sentence for each use, import or string of a forbidden name."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(attr=called) | ast.Name(id=called):
                found = called
            case ast.alias(name=called):
                found = called.rpartition(".")[2]
            case ast.Constant(value=str(called)):
                found = called
            case _:
                continue
        if found in FORBIDDEN:
            why = FORBIDDEN[found]
            yield f"{name}:{node.lineno} uses {found}, which {why}; use create_commit alone"


def test_the_product_makes_none() -> None:
    """Publishing writes by `create_commit` alone: readers see all of a release or nothing."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]

    found = [
        sentence
        for path in paths
        for sentence in forbidden_calls(
            path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))
        )
    ]

    assert len(paths) > 100
    assert found == []


@pytest.mark.parametrize("name", FORBIDDEN)
@pytest.mark.parametrize(
    "line",
    [
        "HfApi().{}(folder_path='.', repo_id='a/b')",
        "from huggingface_hub import {}",
        "from huggingface_hub import {} as put",
        "{}('.')",
        "getattr(api, '{}')('.')",
        "api.run_as_future(api.{}, '.')",
    ],
)
def test_a_planted_call_is_found(name: str, line: str) -> None:
    """As a method, a function, under another name, by a string, or handed on to be called."""
    found = list(forbidden_calls(f"x = 1\n{line.format(name)}\n", "planted.py"))

    assert found
    assert found[0].startswith(f"planted.py:2 uses {name}")


@pytest.mark.parametrize("name", ["upload_folder", "upload_file", "upload_large_folder"])
def test_ruff_finds_the_functions(name: str) -> None:
    """``make lint`` refuses them before any test runs."""
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--stdin-filename", "infra/planted.py", "-"],
        input=f"""from huggingface_hub import {name}\n\n{name}(repo_id="a/b")\n""",
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )

    assert done.returncode == 1
    assert f"TID251 `huggingface_hub.{name}` is banned" in done.stdout
