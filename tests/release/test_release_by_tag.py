"""A tag is set, and a release comes out at the other end: with every process in its own right."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.settings import temporary_settings

from tasks import events
from tests.release.conftest import ROOT, ROUNDHOUSE, SOURCE, STAGING, TARGET, Service
from tests.support import pages
from tests.support.looking import look_at_tags

PEERS = ROOT / ".venv-peers" / "bin" / "python"
PATIENCE_SECONDS = 420.0
TAG = "release/v1.0.0"
RUN = f"{TAG} of {SOURCE}"
LOGITS = """
import json, sys
import torch
from transformers import AutoTokenizer, Qwen2VLForConditionalGeneration

def logits(place, **pin):
    read = AutoTokenizer.from_pretrained(place, **pin)
    tokens = read("Name three things that roll.", return_tensors="pt")
    model = Qwen2VLForConditionalGeneration.from_pretrained(place, dtype=torch.float32, **pin)
    with torch.no_grad():
        found = model(**tokens).logits
    return found, str(model.config.quantization_config.quant_method)

remote, method = logits(sys.argv[1], revision=sys.argv[2])
local, _ = logits(sys.argv[3])
told = {"equal": torch.equal(remote, local), "method": method.rpartition(".")[2].lower()}
print(json.dumps(told))
"""


def wait_until(ready: Callable[[], bool], what: str) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not ready():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def listener(service: Service) -> Iterator[str]:
    """Return where `roundhouse listen` takes notices, while it runs."""
    log = service.folder / "listen.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*ROUNDHOUSE, "listen", str(service.recipe), "--port", "0"],
            cwd=service.folder,
            env=service.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(
            lambda: "Webhooks: POST " in log.read_text() or process.poll() is not None,
            "the listener",
        )
        assert process.poll() is None, log.read_text()
        yield log.read_text().partition("Webhooks: POST ")[2].partition(",")[0]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, log.read_text()


@pytest.fixture(scope="module")
def released(service: Service, listener: str) -> dict[str, str]:
    """Set a tag, wait for its release, and return where the target's tags are."""
    service.api.create_webhook(
        url=listener,
        watched=[{"type": "model", "name": SOURCE}],
        domains=["repo"],
        secret=service.environment["ROUNDHOUSE_WEBHOOK_SECRET"],
    )
    told = service.run("tag", SOURCE, "main", TAG)
    assert told.returncode == 0, told.stderr
    with server(service):
        wait_until(lambda: bool(pages.runs_named(RUN)), "a run of the release")
        wait_until(lambda: is_over(pages.latest_run(RUN)), "its end")
        log = (service.folder / "listen.log").read_text()
        assert pages.latest_run(RUN).state_name == "Completed", log
    return service.tags(TARGET)


def server(service: Service) -> temporary_settings:
    """Point this process's client at the service's Prefect server."""
    return temporary_settings({"api.url": service.environment["PREFECT_API_URL"]})


def test_a_tag_becomes_a_release(service: Service, released: dict[str, str]) -> None:
    """Both formats are there under their tags, and the card names the GPTQ commit."""
    assert released.keys() == {"v1.0.0", "v1.0.0-auto_gptq"}
    assert service.api.model_info(TARGET).sha == released["v1.0.0"]
    card = service.api.hf_hub_download(TARGET, "README.md", local_dir=service.folder / "card")
    assert released["v1.0.0-auto_gptq"][:7] in Path(card).read_text(encoding="utf-8")


@pytest.mark.peers
def test_the_pinned_revision_is_gptq_and_main_is_auto_round(
    service: Service, released: dict[str, str]
) -> None:
    """With the real clients, by seven digits and by branch, with the logits of the local export."""
    exports = service.folder / "checkpoints" / "v1.0.0"
    environment = service.environment | {"PYTHONPATH": ""}
    for revision, kind, method in (
        (released["v1.0.0-auto_gptq"][:7], "auto_gptq", "gptq"),
        ("main", "auto_round", "autoround"),
    ):
        told = subprocess.run(
            [str(PEERS), "-c", LOGITS, TARGET, revision, str(exports / kind)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert told.returncode == 0, told.stderr
        found = json.loads(told.stdout.splitlines()[-1])
        assert found == {"equal": True, "method": method}


def test_it_happens_once_however_often_it_is_told(
    service: Service, listener: str, released: dict[str, str]
) -> None:
    """The webhook again, the watcher, and the command by hand: one release."""
    assert listener
    commits = [commit.commit_id for commit in service.api.list_repo_commits(TARGET)]
    told = service.run("release", str(service.recipe), "--tag", TAG, "--repo", SOURCE)
    assert told.returncode == 0, told.stderr
    assert f"was released before: {TARGET}@{released['v1.0.0']}" in told.stdout
    with server(service), get_client(sync_client=True) as client:
        looked = look_at_tags(
            client,
            lambda run: wait_until(
                lambda: is_over(client.read_flow_run(run)), "a look at the tags"
            ),
        )
        assert looked.state_name == "Completed", looked.state
        runs = [run for run in pages.runs_named(RUN) if run.deployment_id is not None]

    assert len(runs) == 1
    assert [commit.commit_id for commit in service.api.list_repo_commits(TARGET)] == commits
    assert service.tags(TARGET) == released


def test_a_tagged_candidate_is_promoted_without_being_quantized_again(
    service: Service, released: dict[str, str]
) -> None:
    """What was staged is what is published, weight for weight, under the version of the tag."""
    assert released
    staged = service.run(
        *("run", str(service.recipe), "--set", f"publish.repo_id={STAGING}"),
        *("--set", "publish.tag=v0.0.1", "--set", "export.output_dir=staged"),
        *("--set", f"model.revision={service.api.model_info(SOURCE).sha}"),
    )
    assert staged.returncode == 0, staged.stderr
    before = segments(service)
    assert service.run("tag", STAGING, "main", "release/v2.0.0").returncode == 0
    told = service.run("release", str(service.recipe), "--tag", "release/v2.0.0", "--repo", STAGING)

    assert told.returncode == 0, told.stderr
    assert {"v2.0.0", "v2.0.0-auto_gptq"} <= service.tags(TARGET).keys()
    assert segments(service) == before
    assert weights(service, TARGET, "v2.0.0") == weights(service, STAGING, "main")


def test_a_release_is_taken_back(service: Service, released: dict[str, str]) -> None:
    """By one command: main is what the first release was, and no tag has moved."""
    before = service.tags(TARGET)
    told = service.run("rollback", TARGET, "--to", "v1.0.0")

    assert told.returncode == 0, told.stderr
    assert f"main of {TARGET} is v1.0.0 again" in told.stdout
    assert weights(service, TARGET, "main") == weights(service, TARGET, released["v1.0.0"])
    assert service.tags(TARGET) == before


def test_a_tag_that_moved_is_refused(
    service: Service, listener: str, released: dict[str, str]
) -> None:
    """The same name on another commit releases nothing; it is reported, and the command says so."""
    assert listener
    service.api.delete_tag(SOURCE, tag=TAG)
    added = CommitOperationAdd("NOTES.md", b"another commit")
    there = service.api.create_commit(SOURCE, [added], commit_message="notes").oid
    service.api.create_tag(SOURCE, tag=TAG, revision=there)
    with server(service), get_client(sync_client=True) as client:
        wait_until(lambda: bool(told_of(client, events.MOVED)), "the report")
        (report,) = told_of(client, events.MOVED)
        by_hand = service.run("release", str(service.recipe), "--tag", TAG, "--repo", SOURCE)

    assert report["payload"]["commit"] == there
    assert "refused. A tag that moves releases nothing" in report["payload"]["message"]
    assert by_hand.returncode == 3, by_hand.stderr
    assert "is refused: the tag is" in by_hand.stderr
    assert service.tags(TARGET)["v1.0.0"] == released["v1.0.0"]


def told_of(client: SyncPrefectClient, event: str) -> list[dict[str, Any]]:
    """Return the events of a name that Prefect's server has."""
    wanted = {"filter": {"event": {"name": [event]}}}
    found: list[dict[str, Any]] = client.request("POST", "/events/filter", json=wanted).json()[
        "events"
    ]
    return found


def is_over(run: FlowRun) -> bool:
    """Tell whether a run has ended, however."""
    return run.state is not None and run.state.is_final()


def segments(service: Service) -> int:
    """Return how often blocks were quantized."""
    with server(service), get_client(sync_client=True) as client:
        return sum(run.name.startswith("texts: blocks") for run in client.read_flow_runs())


def weights(service: Service, repo_id: str, revision: str) -> dict[str, str]:
    """Return the digests of a revision's weight files."""
    info = service.api.model_info(repo_id, revision=revision, files_metadata=True)
    return {
        file.rfilename: file.lfs.sha256
        for file in info.siblings or ()
        if file.rfilename.endswith(".safetensors") and file.lfs is not None
    }
