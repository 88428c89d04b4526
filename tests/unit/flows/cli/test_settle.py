"""The environment is settled before anything is imported."""

import subprocess
import sys

from flows.cli import settle


def test_telemetry_is_off_unless_someone_has_decided() -> None:
    """A user's own word counts."""
    fresh: dict[str, str] = {}
    decided = {"DO_NOT_TRACK": "0"}
    settle(fresh)
    settle(decided)

    assert fresh["DO_NOT_TRACK"] == "1"
    assert decided["DO_NOT_TRACK"] == "0"


def test_no_proxy_stands_between_us_and_loopback() -> None:
    """What the user excepts stays excepted; without a proxy nothing is set."""
    behind = {"HTTPS_PROXY": "http://proxy:3128", "no_proxy": "intern.example"}
    direct: dict[str, str] = {}
    settle(behind)
    settle(direct)

    assert behind["no_proxy"] == "intern.example,127.0.0.1,localhost"
    assert behind["NO_PROXY"] == "127.0.0.1,localhost"
    assert "no_proxy" not in direct


def test_help_imports_nothing_heavy() -> None:
    """`--help` answers at once."""
    code = (
        "import sys, flows.cli.app\n"
        "print([m for m in ('torch', 'transformers', 'prefect', 'datasets') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert shown.stdout == "[]\n"


def test_a_log_gets_no_bars() -> None:
    """The Hub's client draws its progress for people, who may want it elsewhere, too."""
    watched: dict[str, str] = {}
    logged: dict[str, str] = {}
    wanted = {"HF_HUB_DISABLE_PROGRESS_BARS": "0"}
    settle(watched, terminal=True)
    settle(logged, terminal=False)
    settle(wanted, terminal=False)

    assert "HF_HUB_DISABLE_PROGRESS_BARS" not in watched
    assert logged["HF_HUB_DISABLE_PROGRESS_BARS"] == "1"
    assert wanted["HF_HUB_DISABLE_PROGRESS_BARS"] == "0"
