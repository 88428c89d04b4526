"""Installed, and not only checked out, Roundhouse has all that it needs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.service import ROOT

PACKAGES = ("flows", "tasks", "quantcore", "infra")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the package is installed into, as `pip install .` does it."""
    place = tmp_path_factory.mktemp("installed")
    checkout = place / "checkout"  # a build leaves files beside its sources
    for name in sources():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_bytes((ROOT / name).read_bytes())
    told = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
            *("--no-build-isolation", "--target", str(place / "site"), str(checkout)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    return place / "site"


def sources() -> list[str]:
    """Return the files of the checkout that an installation is made of."""
    found = [
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    ]
    return [*found, "pyproject.toml", "README.md", "LICENSE"]


def test_every_file_of_the_packages_is_installed(installed: Path) -> None:
    """Recipes, templates, the demo's model and the files for a service among them."""
    wanted = [name for name in sources() if name.partition("/")[0] in PACKAGES]

    assert wanted
    assert [name for name in wanted if not (installed / name).is_file()] == []


def test_the_command_runs_from_there(installed: Path, tmp_path: Path) -> None:
    """Without the checkout: it rounds the model that comes with it, on a server that it starts."""
    asked = ("--model", "packaged:demo", "--iters", "0", "--output-dir", "out")
    try:
        ended = roundhouse("quantize", *asked, installed=installed, at=tmp_path)
    finally:
        down = roundhouse("down", installed=installed, at=tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert down.returncode == 0, down.stderr
    assert (tmp_path / "out" / "auto_round" / "config.json").is_file()


def roundhouse(
    command: str, *arguments: str, installed: Path, at: Path
) -> subprocess.CompletedProcess[str]:
    """Run a command of what is installed."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    program = [sys.executable, "-c", "from flows.cli import main; main()"]
    return subprocess.run(
        [*program, command, *arguments, "--workspace", "workspace"],
        cwd=at,
        env=own | {"PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
