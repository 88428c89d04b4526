"""The real command in a process of its own, on small models and data."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.requests import write_data
from tests.support.tiny import write_tiny_qwen2_vl


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Roundhouse = Callable[..., Ended]
COMMAND = (sys.executable, "-c", "from flows.cli import main; main()")


def environment_with(api_url: str) -> dict[str, str]:
    """Return an environment in which a Prefect server is configured."""
    return {**os.environ, "PREFECT_API_URL": api_url, "COLUMNS": "120"}


def run_in(folder: Path, environment: Mapping[str, str], arguments: Sequence[str | Path]) -> Ended:
    """Run `roundhouse` in a process of its own."""
    ended = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def names_in(folder: Path) -> list[str]:
    """Return the names of all files and folders in ``folder``, hidden ones, too."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="session")
def cli_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of small data sets; read it, never write into it."""
    return write_data(tmp_path_factory.mktemp("cli-data"))


@pytest.fixture(scope="session")
def four_blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny model of four blocks, for runs that are stopped on the way."""
    return write_tiny_qwen2_vl(tmp_path_factory.mktemp("cli-model") / "model", blocks=4)


@pytest.fixture
def command() -> list[str]:
    """Return the start of a command line."""
    return list(COMMAND)


@pytest.fixture
def environment(prefect_api_url: str) -> dict[str, str]:
    """Return an environment in which the session's server is configured."""
    return environment_with(prefect_api_url)


@pytest.fixture
def roundhouse(environment: dict[str, str], tmp_path: Path) -> Roundhouse:
    """Return a function that runs `roundhouse` in an empty folder."""

    def run(*arguments: str | Path) -> Ended:
        return run_in(tmp_path, environment, arguments)

    return run


@pytest.fixture
def here(
    prefect_api_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Roundhouse]:
    """Return a function that runs `roundhouse` in this process, which imports only once."""
    from prefect.settings import temporary_settings  # noqa: PLC0415 -- takes seconds
    from typer.testing import CliRunner  # noqa: PLC0415 -- as above

    from flows.cli.app import app  # noqa: PLC0415 -- as above

    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> Ended:
        ended = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "160"})
        return Ended(ended.exit_code, ended.stdout, ended.stderr)

    with temporary_settings({"api.url": prefect_api_url}):
        yield run
