"""Faults of tests, and what the real client makes of them: it is what publishing relies on."""

import os
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError
from pydantic import ValidationError

from infra.local_hub.faults import Fault, FaultPlan
from tests.support.git import require_sound
from tests.support.local_hub import LocalHub
from tests.unit.infra.local_hub.conftest import PART_BYTES

pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content:DeprecationWarning"
)  # the client's own

LARGE = os.urandom(PART_BYTES * 2 + 1000)


def commit(api: HfApi, repo_id: str, **files: bytes) -> str:
    """Make a commit of files, and return its 40 digits."""
    added = [CommitOperationAdd(path, data) for path, data in files.items()]
    return api.create_commit(repo_id, added, commit_message="a commit").oid


def test_a_fault_befalls_whom_it_should() -> None:
    """After those that are spared, as often as it is told, the first that is due."""
    plan = FaultPlan(
        [
            Fault(match="POST .*/commit/", mode="status", skip=1, times=2),
            Fault(match="/x", mode="lose_response"),
        ]
    )
    lines = [
        "POST /x/commit/main",
        "GET /",
        "POST /x/commit/a",
        "POST /y/commit/b",
        "POST /y/commit/c",
    ]

    befallen = [fault.mode if (fault := plan.befalls(line)) else None for line in lines]

    assert befallen == ["lose_response", None, "status", "status", None]
    assert plan.requests == lines
    plan.clear()
    assert plan.befalls("POST /x/commit/main") is None


def test_a_fault_that_is_none() -> None:
    """A typing error in a test is found at once."""
    for wrong in (
        {"mode": "explode"},
        {"mode": "status", "status": 200},
        {"mode": "status", "x": 1},
    ):
        with pytest.raises(ValidationError):
            Fault.model_validate({"match": "x", **wrong})


def test_no_request_reaches_the_faults(hub: LocalHub, raw: httpx2.Client) -> None:
    """They are given when the app is made; there is no address for them."""
    for address in ("/faults", "/api/faults", "/_faults", "/docs", "/openapi.json", "/redoc"):
        assert raw.get(address).status_code in (400, 404)
    assert hub.requests


def test_a_status_comes_before_anything_is_done(hub: LocalHub, api: HfApi, repo_id: str) -> None:
    """The commit was not made."""
    hub.faults.add(Fault(match="POST .*/commit/main", mode="status", status=500))

    with pytest.raises(HfHubHTTPError) as failure:
        commit(api, repo_id, x=b"x")

    assert failure.value.response.status_code == 500
    assert len(api.list_repo_commits(repo_id)) == 1


def test_a_lost_answer_comes_after_everything_is_done(
    hub: LocalHub, api: HfApi, repo_id: str
) -> None:
    """The commit is there; the client raises, and gives the same commit when asked again."""
    hub.faults.add(Fault(match="POST .*/commit/main", mode="lose_response"))

    with pytest.raises(httpx2.RemoteProtocolError):
        commit(api, repo_id, x=b"x")
    commits = api.list_repo_commits(repo_id)

    assert len(commits) == 2
    assert commit(api, repo_id, x=b"x") == commits[0].commit_id
    assert len(api.list_repo_commits(repo_id)) == 2


def test_a_commit_that_is_cut_on_its_way_in(
    hub: LocalHub, api: HfApi, repo_id: str, folder: Path
) -> None:
    """Half a commit is none."""
    hub.faults.add(Fault(match="POST .*/commit/main", mode="drop_upload", after=1))

    with pytest.raises(httpx2.HTTPError):
        commit(api, repo_id, x=b"x" * 100_000)

    assert len(api.list_repo_commits(repo_id)) == 1
    require_sound(folder)


def test_a_part_that_is_cut_is_sent_again(
    hub: LocalHub, api: HfApi, repo_id: str, tmp_path: Path
) -> None:
    """Only that part; what arrives is what was sent."""
    hub.faults.add(Fault(match=r"PUT /_lfs/\S+/2$", mode="drop_upload", after=PART_BYTES // 2))
    before = len(hub.requests)

    commit(api, repo_id, **{"m.safetensors": LARGE})

    puts = [line.rpartition("/")[2] for line in hub.requests[before:] if line.startswith("PUT")]
    path = api.hf_hub_download(repo_id, "m.safetensors", local_dir=tmp_path)
    assert puts == ["1", "2", "2", "3"]
    assert Path(path).read_bytes() == LARGE


def test_a_whole_file_that_is_cut_is_sent_again(
    hub: LocalHub, api: HfApi, repo_id: str, tmp_path: Path
) -> None:
    """And what came of it the first time is removed."""
    data = LARGE[: PART_BYTES // 2]
    hub.faults.add(Fault(match=r"PUT /_lfs/", mode="drop_upload", after=1000))

    commit(api, repo_id, **{"m.safetensors": data})

    path = api.hf_hub_download(repo_id, "m.safetensors", local_dir=tmp_path)
    assert Path(path).read_bytes() == data
    assert not list((hub.root / "tmp" / "uploads").iterdir())


def test_a_completion_whose_answer_is_lost(
    hub: LocalHub, api: HfApi, repo_id: str, tmp_path: Path
) -> None:
    """It is asked for again, and has been done."""
    hub.faults.add(Fault(match=r"POST /_lfs/", mode="lose_response"))

    commit(api, repo_id, **{"m.safetensors": LARGE})

    path = api.hf_hub_download(repo_id, "m.safetensors", local_dir=tmp_path)
    assert Path(path).read_bytes() == LARGE


@pytest.mark.parametrize("name", ["m.safetensors", "small.txt"])
def test_a_download_that_is_cut_goes_on(
    hub: LocalHub, api: HfApi, repo_id: str, tmp_path: Path, name: str
) -> None:
    """From the byte on where it was cut, for large files and small ones."""
    commit(api, repo_id, **{name: LARGE.replace(b"\0", b"1") if name == "small.txt" else LARGE})
    hub.faults.add(Fault(match=f"GET .*/resolve/.*/{name}", mode="drop_download", after=70_000))
    before = len(hub.requests)

    path = api.hf_hub_download(repo_id, name, local_dir=tmp_path)

    gets = [line for line in hub.requests[before:] if line.startswith("GET") and name in line]
    assert len(gets) == 2
    assert Path(path).stat().st_size == len(LARGE)
    assert Path(path).read_bytes().replace(b"\0", b"1") == LARGE.replace(b"\0", b"1")
