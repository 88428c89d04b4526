"""Somebody starts the demo from its form, watches it, approves it, and finds what came of it.

Nothing is asked of the server's API here: everything is read off the pages.  The tests of this file
are one story, told in order.
"""

import json
import time
import urllib.request
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from PIL import Image

from flows.service.automations import LOST, NEVER_BEGAN
from tests.browser.conftest import Service
from tests.support.ui import Ui

WHOLE_RUN_SECONDS = 480.0
GREEN = (33, 157, 75)  # of a step that has completed
NEAR, MANY_PIXELS = 16, 1000
DRAWN_SECONDS = 60.0
STATE_SECONDS = 30.0  # between two looks whether the run still goes on
TOLD = "each => [...each.options].map(one => one.innerText).join(' ')"
CHOICES = "[...document.querySelectorAll('select')]"
CHOICE_OF_BITS = f"{CHOICES}.find(each => ({TOLD})(each) === '2 3 4 8')"
BARS = ("segment-pile-1", "16bits-answer-the-benchmarks")
TOLD_OF_REVISION = "\"'v1..v2' is not valid under any of the given schemas\""
BAD = {"Failed", "Crashed", "Cancelled"}
BENCHMARKS = ("MMBench_DEV_EN_V11", "ScienceQA_VAL", "TextVQA_VAL", "POPE")


@pytest.fixture(scope="module")
def run(ui: Ui, service: Service) -> str:
    """Start the demo from the unchanged form, and return the id of its run."""
    assert service
    ui.open_form("quantize", "on-demand")
    ui.page.wait_for_text("Which model is quantized.")
    ui.page.wait(f"!!{CHOICE_OF_BITS}", what="the choice of bits")
    ui.page.evaluate(f"{CHOICE_OF_BITS}.scrollIntoView({{block: 'center'}})")
    ui.photograph("form")
    return ui.submit()


@pytest.fixture(scope="module")
def seen(ui: Ui, run: str) -> dict[str, list[str]]:
    """Watch the bars of the run until it waits for a person; return what they said, by key."""
    said = {key: list(watched(ui, run, key)) for key in BARS}
    wait_for_state(ui, run, "Paused")
    return said


@pytest.fixture(scope="module")
def finished(ui: Ui, run: str, seen: dict[str, list[str]]) -> str:
    """Approve the held release on the page of its run, and return the run when it has ended."""
    assert seen
    ui.open_run(run)
    ui.page.click("button", "Resume")
    ui.page.click(".p-modal [role=switch]")
    for place, words in enumerate(("Ada", "a test of the pages; nothing to be believed")):
        ui.fill(f"document.querySelectorAll('.p-modal textarea')[{place}]", words)
    ui.photograph("approval")
    ui.page.click(".p-modal button", "Submit")
    ui.page.wait("!document.querySelector('.p-modal')", what="the answer to be sent")
    wait_for_state(ui, run, "Completed")
    return run


def test_the_form_has_every_part_of_a_recipe_in_words(ui: Ui, service: Service) -> None:
    """Descriptions and choices come from the recipe's own fields, and so do the values."""
    ui.open_form("quantize", "on-demand")
    ui.page.wait_for_text("Which model is quantized.")
    text = ui.page.text()

    assert "Steps of sign descent a block; 0 rounds to nearest and needs no samples." in text
    assert "Where the result is published; nothing: it stays here." in text
    assert "Folder of this machine for the store, caches and servers." in text
    values = ui.page.evaluate("[...document.querySelectorAll('input, textarea')].map(f => f.value)")
    assert {"demo", "packaged:demo", str(service.recipe.quantization.iters)} <= set(values)
    ui.page.wait(f"!!{CHOICE_OF_BITS}", what="the choice of bits")
    chosen = ui.page.evaluate(f"{CHOICE_OF_BITS}.selectedOptions[0].innerText")
    assert chosen == str(service.recipe.quantization.bits)
    assert {"32 64 128 -1", "transformers vllm"} <= set(ui.page.evaluate(f"{CHOICES}.map({TOLD})"))


def test_what_cannot_be_a_revision_is_refused_in_the_form(ui: Ui) -> None:
    """Before a run exists, and in the words of the field that is wrong."""
    ui.open_form("quantize", "on-demand")
    ui.page.wait_for_text("Which model is quantized.")
    part = "[...document.querySelectorAll('.schema-form-property')].filter(each => "
    part += "each.innerText.startsWith('Revision (Optional)'))[0]"
    ui.page.evaluate(
        f"[...{part}.querySelectorAll('label, button')]"
        ".find(each => each.innerText.trim() === 'str').click()"
    )
    ui.fill(f"{part}.querySelector('textarea, input[type=text]')", "v1..v2")
    ui.page.click("button", "Submit")

    ui.page.wait(
        f"{part}.innerText.includes({TOLD_OF_REVISION})", what="what is wrong with the revision"
    )
    assert ui.page.evaluate("location.pathname").endswith("/run")  # of the form: it was not sent


def test_the_unchanged_form_asks_for_the_very_recipe(
    ui: Ui, service: Service, finished: str
) -> None:
    """What the page of the run shows as its parameters is the service's recipe."""
    ui.open_run(finished)
    ui.open_tab("Parameters")
    ui.page.wait_for_text('"recipe"')
    shown = json.loads(ui.page.evaluate("document.querySelector('#parameters-content').innerText"))

    assert service.recipe.model_validate(shown["recipe"]) == service.recipe.model_copy(
        update={"workers": service.recipe.workers.model_copy(update={"pool": "gpu"})}
    )


def test_bars_move_while_blocks_are_tuned(seen: dict[str, list[str]]) -> None:
    """Somewhere in between, with the loss, and done at the end."""
    lines = seen["segment-pile-1"]

    assert len([line for line in lines if "iteration" in line and "loss" in line]) >= 2
    assert lines[-1] == "Tuning pile: blocks 1 to 6 of 6: done"


def test_bars_move_while_answers_are_generated(seen: dict[str, list[str]]) -> None:
    """By benchmark and question."""
    lines = seen["16bits-answer-the-benchmarks"]

    assert [line for line in lines if "answers, " in line]
    assert lines[-1] == "16bits: answer the benchmarks: done"


def test_the_run_graph_is_drawn(ui: Ui, finished: str) -> None:
    """Green bars, for steps that have completed."""
    ui.open_run(finished)
    deadline = time.monotonic() + DRAWN_SECONDS
    while (drawn := green_in(ui.graph())) < MANY_PIXELS and time.monotonic() < deadline:
        pass
    ui.photograph("run")

    assert drawn >= MANY_PIXELS


def test_steps_are_named_in_the_words_of_the_pipeline(
    ui: Ui, service: Service, finished: str
) -> None:
    """From the model to the release, and no folder of a machine among them."""
    ui.open_run(finished)
    ui.open_tab("Task Runs")
    ui.page.wait_for_text("export pile")
    steps = ui.page.text()
    ui.open_tab("Subflow Runs")
    ui.page.wait_for_text("demo: evaluate 16bits, pile, llava")

    assert_shown(steps, ("export pile", "verify pile", "push v1.0.0 to roundhouse/demo-int4"))
    assert str(service.workspace) not in steps


def test_the_table_of_blocks_is_shown(ui: Ui, finished: str) -> None:
    """Loss before and after, noise, time, memory and fall-backs, a row a block."""
    table = ui.artifact(finished, "blocks-pile")
    ui.photograph("blocks", height=760)

    assert "6 Items" in table.text
    assert_shown(
        table.text,
        ("loss before", "loss after", "SQNR dB", "seconds", "peak MiB", "fallback"),
    )


def test_losses_are_shown_as_pictures(ui: Ui, finished: str) -> None:
    """The error by block, and the curves; both are inside the page."""
    page = ui.artifact(finished, "losses-pile")
    ui.photograph("losses", height=1260)

    assert page.pictures == 2
    assert_shown(page.text, ("pile: error by block", "Loss curves"))


def test_the_evaluation_is_shown_with_intervals(ui: Ui, finished: str) -> None:
    """On the page of the evaluation, which is one click from that of the run."""
    evaluation = evaluation_of(ui, finished)
    table = ui.artifact(evaluation, "evaluation-demo")

    assert_shown(table.text, (*BENCHMARKS, "16bits", "95%"))


def test_the_verdict_is_shown_with_its_reasons(ui: Ui, finished: str) -> None:
    """Every finding on the page of the evaluation, what decided on that of the run."""
    page = ui.artifact(evaluation_of(ui, finished), "verdict-demo")
    ui.photograph("verdict", height=1300)
    summary = ui.artifact(finished, "summary-demo")

    assert_shown(page.text, ("pile: hold", "llava: ", "independent clusters", "Fidelity"))
    assert_shown(summary.text, ("Verdict of the gate", "independent clusters", "mean KL"))


def test_the_release_is_linked_by_its_pinned_revisions(ui: Ui, finished: str) -> None:
    """The card, and both formats at their commits: the Hub gives what the links name."""
    page = ui.artifact(finished, "release-demo")
    ui.photograph("release", height=700)

    assert_shown(page.text, ("roundhouse/demo-int4 v1.0.0", "auto_round", "auto_gptq"))
    commits = [words for words in page.links if len(words) == 40]
    assert len(commits) == 2
    assert all(page.links[commit].endswith(f"/tree/{commit}") for commit in commits)
    assert page.links["The model card"].startswith(f"{page.links[commits[0]].split('/tree/')[0]}/")
    for address in page.links.values():
        with urllib.request.urlopen(address) as answer:  # noqa: S310 -- on loopback
            assert answer.status == 200


def test_what_finds_lost_runs_and_releases_by_tag_is_there(ui: Ui, finished: str) -> None:
    """Two automations that nobody had to set up by hand."""
    assert finished
    ui.page.open(f"{ui.address}/automations")
    ui.page.wait_for_text("release-on-tag")
    ui.photograph("automations")

    assert_shown(ui.page.text(), (LOST, NEVER_BEGAN))


def test_the_server_has_refused_nobody(service: Service, finished: str) -> None:
    """Two workers, their runs and somebody at the pages are not too much for its own database."""
    assert finished
    log = (service.workspace / "prefect" / "server.log").read_text(encoding="utf-8")
    assert "database is locked" not in log


def test_no_page_asks_anything_of_another_host(ui: Ui, finished: str) -> None:
    """A service inside a closed network is as good."""
    assert finished
    assert ui.page.foreign == set()


def green_in(picture: Image.Image) -> int:
    """Return how many pixels of a picture are of steps that have completed."""
    pixels = np.asarray(picture.convert("RGB"), dtype=int)
    return int((abs(pixels - GREEN) < NEAR).all(axis=2).sum())


def watched(ui: Ui, run: str, key: str) -> Iterator[str]:
    """Yield each new line of a bar, until it is done; it may move for no longer than seconds."""
    last, deadline = "", time.monotonic() + WHOLE_RUN_SECONDS
    look = time.monotonic() + STATE_SECONDS
    while not last.endswith(": done"):
        line = ui.bar(key)
        if line is not None and line != last:
            if not last and not line.endswith(": done"):
                ui.photograph("bar", height=400)
            yield line
            last = line
        elif time.monotonic() > look:
            assert ui.state_of(run) not in BAD, ui.page.text()
            look = time.monotonic() + STATE_SECONDS
        assert time.monotonic() < deadline, f"{key}: {last or 'nothing'}"


def wait_for_state(ui: Ui, run: str, wanted: str) -> None:
    """Wait until the page of a run shows this state."""
    deadline = time.monotonic() + WHOLE_RUN_SECONDS
    while (state := ui.state_of(run)) != wanted:
        assert state not in BAD, ui.page.text()
        assert time.monotonic() < deadline, state


def evaluation_of(ui: Ui, run: str) -> str:
    """Return the id of the run that evaluated what ``run`` made, by its link."""
    ui.open_run(run)
    ui.open_tab("Subflow Runs")
    ui.page.click("a[href*='/runs/flow-run/']", "demo: evaluate")
    ui.page.wait(f"!location.pathname.endsWith({json.dumps(run)})")
    return str(ui.page.evaluate("location.pathname.split('/').at(-1)"))


def assert_shown(text: str, words: Sequence[str]) -> None:
    """Require each of these words on a page."""
    assert [each for each in words if each not in text] == []
