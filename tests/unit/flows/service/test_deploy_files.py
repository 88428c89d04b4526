"""The files for systemd and compose say the same as what `roundhouse up` does."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.service.backing import Backing
from flows.service.heartbeats import LEAVING_SECONDS
from flows.service.rendering import PACKAGED
from flows.service.workers import CLIENT_ENVIRONMENT

DEPLOY = PACKAGED.parent
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
UNITS = sorted((DEPLOY / "systemd").iterdir())


def test_every_variable_of_compose_is_in_the_example_and_has_no_value() -> None:
    """Names only: a password that is in a repository is none."""
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    example = (DEPLOY / ".env.example").read_text(encoding="utf-8")
    named = dict(re.findall(r"^(\w+)=(.*)$", example, flags=re.MULTILINE))

    assert set(re.findall(r"\$\{(\w+):", text)) == set(named)
    assert {value for name, value in named.items() if name != "PUBLIC_API_URL"} == {""}


def test_whatever_guards_the_server_must_be_given() -> None:
    """Compose stops where it is not."""
    environment = SERVICES["server"]["environment"]

    for name in ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_SERVER_ENCRYPTION_KEY"):
        assert environment[name].endswith(":?}")


def test_the_server_in_compose_has_every_setting_of_a_shared_one() -> None:
    """Those that `roundhouse up` would give it."""
    shared = Backing("postgresql+asyncpg://x", "redis://redis:6379/0").settings(Path("/x"))

    for name in ("server", "services"):
        assert shared.keys() <= SERVICES[name]["environment"].keys()


@pytest.mark.parametrize("name", ["worker-parents", "worker-gpu-0"])
def test_workers_in_compose_send_heartbeats(name: str) -> None:
    """And all else that `roundhouse up` tells a worker."""
    environment = SERVICES[name]["environment"]
    told = {key: value for key, value in CLIENT_ENVIRONMENT.items() if "ANALYTICS" not in key}

    assert told.items() <= environment.items()
    assert SERVICES[name]["command"].startswith("roundhouse worker")
    assert ("--pool cpu" in SERVICES[name]["command"]) == (name == "worker-parents")


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_a_command_again_and_keeps_to_itself(unit: Path) -> None:
    """And takes its secrets from a file, never from the unit, which everybody may read."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # keys keep their case
    parser.read(unit, encoding="utf-8")
    service = parser["Service"]

    assert service["Restart"] == "always"
    assert service["NoNewPrivileges"] == "yes"
    assert "EnvironmentFile" in service
    assert "PREFECT_HOME=/var/lib/roundhouse/" in service["Environment"]
    assert not re.search("TOKEN=|AUTH_STRING=|SECRET", "".join(service.values()))


def test_a_workers_unit_works_on_the_gpu_of_its_number_and_is_told_alone_to_end() -> None:
    """A run that got the signal, too, could not put its block down in peace."""
    text = (DEPLOY / "systemd" / "roundhouse-gpu-worker@.service").read_text(encoding="utf-8")
    patience = re.search(r"^TimeoutStopSec=(\d+)$", text, flags=re.MULTILINE)

    assert "roundhouse worker --device %i " in text
    assert "\nKillMode=mixed\n" in text
    assert patience is not None
    assert int(patience[1]) > LEAVING_SECONDS


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_finds_no_fault(unit: Path, tmp_path: Path) -> None:
    """But that the command is not installed here."""
    text = re.sub(r"/opt/roundhouse/bin/\w+", "/bin/true", unit.read_text(encoding="utf-8"))
    there = tmp_path / unit.name.replace("@", "@0")
    there.write_text(text, encoding="utf-8")
    ended = subprocess.run(
        ["systemd-analyze", "verify", str(there)],  # noqa: S607 -- wherever the system keeps it
        capture_output=True,
        text=True,
        check=False,
    )

    assert unit.name.partition("@")[0] not in ended.stderr, ended.stderr
