"""What each command prints, writes and exits with."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import hub_server
from tests.cli.conftest import Roundhouse, names_in

SMALL = ("--nsample", "4", "--seqlen", "64", "--iters", "2", "--batch-size", "2")


def test_quantize_writes_both_formats_and_inspect_calls_them_sound(
    roundhouse: Roundhouse, tiny_model: Path, cli_data: Path, tmp_path: Path
) -> None:
    """The flags that users of the peer know, end to end."""
    done = roundhouse(
        "quantize", "--model", tiny_model, "--calibration", cli_data / "texts.jsonl", *SMALL,
        "--bits", "4", "--group-size", "128", "--format", "auto_gptq,auto_round",
        "--output-dir", "out", "--device", "cpu", "--seed", "7", "--segments", "1",
        "--held-out", cli_data / "held_out.jsonl", "--held-out-nsamples", "4",
    )  # fmt: skip

    assert done.code == 0, done.err
    assert "texts: block 2 of 2: held-out loss" in done.err
    assert "perplexity" in done.out
    assert "verified" in done.out
    for kind in ("auto_round", "auto_gptq"):
        seen = roundhouse("inspect", tmp_path / "out" / kind, "--json")
        report = json.loads(seen.out)
        assert (seen.code, report["format"], report["sound"]) == (0, kind, True)
        assert (report["bits"], report["group_size"], report["quantized_modules"]) == (4, 128, 14)


def test_a_recipe_runs_with_overrides(
    roundhouse: Roundhouse, tiny_model: Path, tmp_path: Path
) -> None:
    """A packaged recipe by its name, made small, and published nowhere."""
    done = roundhouse(
        "run", "demo",
        "--set", f"model.source={tiny_model}",
        "--set", "quantization.iters=0",
        "--set", "evaluation={}", "--set", "benchmarks=null",
        "--set", "publish=null",
        "--set", "export.output_dir=made",
        "--set", "export.formats=[auto_gptq]",
    )  # fmt: skip

    assert done.code == 0, done.err
    assert "Published" not in done.out
    assert names_in(tmp_path / "made") == ["auto_gptq"]


def test_an_unsound_checkpoint_is_told_by_words_and_by_code(
    roundhouse: Roundhouse, tiny_model: Path, tmp_path: Path
) -> None:
    """Scripts see the code, people the reason."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_bytes((tiny_model / "config.json").read_bytes())
    done = roundhouse("inspect", "broken")

    assert done.code == 4
    assert "NOT sound" in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("inspect", "nowhere"), 3, "nowhere"),
        (("run", "dmeo"), 2, "Did you mean demo?"),
        (("run", "demo", "--set", "quantisation.iters=1"), 2, "did you mean quantization?"),
        (("quantize", "--model", "m", "--output-dir", "o"), 2, "--calibration is missing"),
        (
            ("quantize", "--model", "m", "--output-dir", "o", "--iters", "0", "--bits", "5"),
            2,
            "--bits = 5",
        ),
        (("quantize", "--model", "./none", "--output-dir", "o", "--iters", "0"), 3, "none"),
        (("quantize", "--model", "m"), 2, "--output-dir"),
        (("qantize",), 2, "qantize"),
    ],
)
def test_mistakes_end_with_their_code_and_without_a_traceback(
    roundhouse: Roundhouse, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """One paragraph that names the value and the remedy."""
    done = roundhouse(*arguments)

    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert "Traceback" not in done.err


def test_an_output_folder_that_exists_is_refused_before_any_work(
    roundhouse: Roundhouse, tiny_model: Path, tmp_path: Path
) -> None:
    """What is in it is left alone."""
    (tmp_path / "out" / "auto_gptq").mkdir(parents=True)
    (tmp_path / "out" / "auto_gptq" / "mine").write_text("kept")
    done = roundhouse("quantize", "--model", tiny_model, "--iters", "0", "--output-dir", "out")

    assert done.code == 5
    assert "out/auto_gptq exists already" in done.err
    assert "block" not in done.err
    assert (tmp_path / "out" / "auto_gptq" / "mine").read_text() == "kept"
    assert names_in(tmp_path / "out") == ["auto_gptq"]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    """Return a workspace whose Hub is stopped in the end."""
    yield tmp_path / "work"
    hub_server.stop(tmp_path / "work")


def test_the_demo_publishes_to_its_own_hub_and_says_how_to_load_from_there(
    roundhouse: Roundhouse, environment: dict[str, str], workspace: Path
) -> None:
    """Everything is below the workspace; here it only rounds, and reads a few words."""
    environment["HF_HUB_OFFLINE"] = "0"
    small = (
        "--set", "quantization.iters=0", "--set", "evaluation.text.nsamples=2",
        "--set", "benchmarks.names=[TextVQA_VAL]", "--set", "benchmarks.limit=12",
        "--set", "benchmarks.fidelity_prompts=0",
    )  # fmt: skip
    done = roundhouse("demo", *small, "--workspace", "work")

    made = workspace / "demo" / "checkpoints"
    assert done.code == 0, done.err
    assert names_in(made) == ["auto_gptq", "auto_round", "evaluation.json", "evaluation.md"]
    assert "rtn: PASS" in done.out
    record = hub_server.read_record(workspace)
    assert record is not None
    assert f"export HF_ENDPOINT={record.endpoint}" in done.out
    assert "Published: roundhouse/demo-int4 v1.0.0+" in done.out
    card = done.out.partition("The card: ")[2].strip()
    with urllib.request.urlopen(card, timeout=30) as answer:  # noqa: S310 -- of that Hub
        assert "# demo-int4" in answer.read().decode()
    assert names_in(workspace / "demo" / "data") == [
        "benchmarks",
        "calibration.jsonl",
        "conversations",
        "held_out.jsonl",
    ]

    other = roundhouse("demo", *small, "--set", "quantization.bits=8", "--workspace", "work")
    fresh = roundhouse("demo", *small, "--set", "quantization.bits=8", "--workspace", "work",
                       "--fresh")  # fmt: skip
    assert (other.code, fresh.code) == (5, 0)


def test_ui_names_the_server_and_does_not_stop_one_that_is_not_ours(
    roundhouse: Roundhouse, prefect_api_url: str
) -> None:
    """A configured server is someone else's."""
    shown, stopped = roundhouse("ui"), roundhouse("ui", "--stop")

    assert (shown.code, stopped.code) == (0, 0)
    assert prefect_api_url in shown.out
    assert "No server of this workspace" in stopped.out


def test_a_server_that_is_configured_and_gone_is_told(
    roundhouse: Roundhouse, environment: dict[str, str], tiny_model: Path
) -> None:
    """An environment problem, with the address in it."""
    environment["PREFECT_API_URL"] = "http://127.0.0.1:9/api"
    done = roundhouse("quantize", "--model", tiny_model, "--iters", "0", "--output-dir", "out")

    assert done.code == 5
    assert "http://127.0.0.1:9/api" in done.err


def test_without_a_configured_server_one_is_started_and_stopped_when_told(
    roundhouse: Roundhouse, environment: dict[str, str], tiny_model: Path, tmp_path: Path
) -> None:
    """Its address is printed; with --no-keep-server no process and no record is left."""
    del environment["PREFECT_API_URL"]
    done = roundhouse(
        "quantize", "--model", tiny_model, "--iters", "0", "--output-dir", "out",
        "--no-keep-server",
    )  # fmt: skip

    assert done.code == 0, done.err
    assert "Prefect server started: http://127.0.0.1:" in done.err
    assert "Error logging to API" not in done.err
    assert not (tmp_path / ".roundhouse" / "server.json").exists()
    assert str(tmp_path) not in _environments_of_servers()


def _environments_of_servers() -> str:
    """Return the environments of all processes that are Prefect servers."""
    environments = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if b"\0server\0start" in (entry / "cmdline").read_bytes():
                environments.append((entry / "environ").read_text())
        except OSError:  # it has ended meanwhile, or is someone else's
            continue
    return " ".join(environments)
