"""`roundhouse up --foreground` with a recipe that watches a repository: a tag becomes a release."""

import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from huggingface_hub import constants
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import FlowRun

from flows.kept import ListeningRecord
from flows.service.access import webhook_file
from infra.demo import MODEL_DIR
from infra.triggers.receiver import ROUTE
from tests.support.local_hub import LocalHub, local_hub
from tests.support.looking import look_at_tags
from tests.support.service import RunningService, state_of, wait_until

WORKER = "worker-cpu-0"
WATCHING = """\
name: watching
model: {{source: {source}}}
quantization: {{iters: 0}}
export: {{output_dir: {out}}}
publish: {{repo_id: {target}, private: false}}
"""
SOURCE, TARGET = "acme/demo", "acme/demo-int4"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """Return a Hub that holds the demo model, and is everybody's while the tests of it run."""
    with pytest.MonkeyPatch.context() as patch, local_hub(tmp_path_factory.mktemp("hub")) as served:
        patch.setattr(constants, "HF_HUB_OFFLINE", False)  # loopback is all that tests can reach
        patch.setenv("HF_ENDPOINT", served.endpoint)
        patch.setenv("HF_TOKEN", served.write_token)
        patch.setenv("HF_HUB_OFFLINE", "0")
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        served.api().create_repo(SOURCE)
        served.api().upload_folder(repo_id=SOURCE, folder_path=MODEL_DIR)
        yield served


class Watching(NamedTuple):
    """A service in the foreground whose recipe watches a repository."""

    process: subprocess.Popen[bytes]
    notices: str  # where they are taken


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> RunningService:
    """Return a service that has not been started; its recipe is beside its workspace."""
    folder = tmp_path_factory.mktemp("watching")
    recipe = WATCHING.format(source=SOURCE, target=TARGET, out=folder / "out")
    (folder / "watching.yaml").write_text(recipe, encoding="utf-8")
    return RunningService(folder / "workspace")


@pytest.fixture(scope="module")
def watching(service: RunningService, hub: LocalHub) -> Iterator[Watching]:
    """Start it, with the Hub in its environment."""
    assert hub
    recipe = service.workspace.with_name("watching.yaml")
    asked = ("--foreground", "--devices", "cpu", "--recipe", str(recipe))
    with service.running("up", *asked, "--port", "0", "--webhook-port", "0") as process:
        receiver = service.workspace / "service" / "receiver.json"
        wait_until(receiver.exists, "the receiver", 900.0)
        told = ListeningRecord.model_validate_json(receiver.read_bytes())
        yield Watching(process, f"{told.address}{ROUTE}")


def test_who_does_not_bring_the_secret_is_turned_away(watching: Watching) -> None:
    """By the receiver of webhooks, before it has read what was sent."""
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(watching.notices, data=b"{", timeout=30)  # noqa: S310 -- loopback
    refused.value.close()


def test_a_tag_is_released_by_webhook_and_watcher_once(
    service: RunningService, hub: LocalHub, watching: Watching
) -> None:
    """The webhook starts the release; the watcher, which sees the tag too, starts no second one."""
    hub.api().create_webhook(
        url=watching.notices,
        watched=[{"type": "model", "name": SOURCE}],
        domains=["repo"],
        secret=webhook_file(service.workspace).read_text(encoding="ascii").strip(),
    )
    hub.api().create_tag(SOURCE, tag="release/v1.0.0")
    with service.client() as client:
        wait_until(lambda: bool(releases(client)), "the release")
        (released,) = releases(client)
        wait_until(lambda: state_of(client, released).is_final(), "its end")
        looked = look_at_tags(
            client,
            lambda run: wait_until(lambda: state_of(client, run).is_final(), "a look at the tags"),
        )

        assert state_of(client, released).name == "Completed", state_of(client, released).message
        assert looked.state_name == "Completed", looked.state
        assert [run.id for run in releases(client)] == [released.id]
    tags = {tag.name for tag in hub.api().list_repo_refs(TARGET).tags}
    assert tags == {"v1.0.0", "v1.0.0-auto_gptq"}


def releases(client: SyncPrefectClient) -> list[FlowRun]:
    """Return all runs that release the tag."""
    named = FlowRunFilter(name=FlowRunFilterName(any_=[f"release/v1.0.0 of {SOURCE}"]))
    return client.read_flow_runs(flow_run_filter=named)


def test_in_the_foreground_it_keeps_itself_up_until_it_is_told_to_end(
    service: RunningService, watching: Watching
) -> None:
    """A worker that died is started again; the end leaves nothing running."""
    with service.client() as client:
        watcher = client.read_deployment_by_name("watch-tags/every-5-minutes")
    died = service.pid(WORKER)
    os.kill(died, signal.SIGKILL)
    wait_until(lambda: service.pid(WORKER) != died, "another worker", 600.0)
    watching.process.send_signal(signal.SIGTERM)
    assert watching.process.wait(timeout=300) == 143

    assert [(each.slug, each.active) for each in watcher.schedules] == [("watch-tags", True)]
    served = service.workspace / "service" / "recipes" / "watching.yaml"
    assert watcher.parameters["recipes"] == [str(served)]
    assert service.left() == ()
