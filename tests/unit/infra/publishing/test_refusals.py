"""Whatever the Hub's client raises comes back as one error that says what to do, without a token.

The real client meets a real server that answers as it is told to.
"""

import pickle
import traceback
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, constants

from infra.errors import (
    HubFullError,
    HubRefusedError,
    HubUnreachableError,
    InfraError,
    NotAllowedError,
    RejectedTokenError,
    StaleParentError,
    StorageError,
    TooLargeForHubError,
    UnknownRepositoryError,
    UnknownRevisionError,
)
from infra.local_hub.faults import Fault
from infra.publishing.hub import Hub, open_hub
from infra.publishing.refusals import Attempt, told
from infra.publishing.token import HubToken
from tests.support.local_hub import LocalHub
from tests.support.publishing import hub_of, make_release

NOWHERE = "http://127.0.0.1:9"  # the port of "discard": nothing listens


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, HubRefusedError),
        (401, RejectedTokenError),
        (403, NotAllowedError),
        (404, UnknownRepositoryError),
        (409, HubRefusedError),
        (412, StaleParentError),
        (413, TooLargeForHubError),
        (422, HubRefusedError),
        (429, HubUnreachableError),
        (500, HubUnreachableError),
        (503, HubUnreachableError),
        (507, HubFullError),
    ],
)
def test_every_answer_has_its_error(
    server: LocalHub, hub: Hub, status: int, kind: type[InfraError]
) -> None:
    """The error names the Hub, the repository and what was being done."""
    server.faults.add(Fault(match="/refs$", mode="status", status=status))

    with pytest.raises(kind) as failure:
        hub.refs("acme/model")

    assert type(failure.value) is kind
    assert server.endpoint in str(failure.value)
    assert "acme/model" in str(failure.value)
    assert "reading the branches and tags" in str(failure.value)


def test_a_connection_that_is_cut(server: LocalHub, hub: Hub) -> None:
    """No answer is trouble with the network: the step tries again."""
    server.faults.add(Fault(match="/refs$", mode="lose_response"))

    with pytest.raises(HubUnreachableError, match="did not answer while reading"):
        hub.refs("acme/model")


def test_a_hub_that_is_not_there() -> None:
    """The error names the endpoint, and where it comes from."""
    hub = open_hub(NOWHERE, HubToken("hf_x", "the test"))

    with pytest.raises(HubUnreachableError, match=rf"{NOWHERE}.*HF_ENDPOINT"):
        hub.refs("acme/model")


def test_offline(monkeypatch: pytest.MonkeyPatch, hub: Hub) -> None:
    """Whoever chose to be offline is told so."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    with pytest.raises(HubUnreachableError, match="HF_HUB_OFFLINE forbids"):
        hub.refs("acme/model")


def test_a_token_that_is_not_known(server: LocalHub, repo_id: str, tmp_path: Path) -> None:
    """The error says where the token came from, and where to make another."""
    release = make_release(tmp_path, repo_id, 1)

    with pytest.raises(RejectedTokenError) as failure:
        release.publish_to(hub_of(server, "hf_NobodyKnowsThis"))

    assert "the token from the test".casefold() in str(failure.value).casefold()
    assert f"{server.endpoint}/settings/tokens" in str(failure.value)


def test_a_token_that_may_only_read(
    server: LocalHub, hub: Hub, repo_id: str, tmp_path: Path
) -> None:
    """Neither a new repository nor a new version of an old one; nothing is half there."""
    reader = hub_of(server, server.read_token)

    with pytest.raises(NotAllowedError, match="The token from the test may not"):
        make_release(tmp_path / "new", repo_id, 1).publish_to(reader)
    assert hub.is_private(repo_id) is None

    first = make_release(tmp_path, repo_id, 1).publish_to(hub)
    with pytest.raises(NotAllowedError):
        make_release(tmp_path, repo_id, 2).publish_to(reader)
    assert hub.refs(repo_id).branches["main"] == first.main.commit
    assert "v2.0.0-auto_gptq" not in hub.refs(repo_id).tags


def test_an_owner_that_nobody_is(hub: Hub, tmp_path: Path) -> None:
    """A misspelt owner is told apart from a misspelt token."""
    with pytest.raises(NotAllowedError, match="check that acmee is spelled right"):
        make_release(tmp_path, "acmee/model", 1).publish_to(hub)


def test_no_room_on_the_hub(server: LocalHub, hub: Hub, repo_id: str, tmp_path: Path) -> None:
    """A disk that is full in the middle of an upload leaves the old release, and says whose disk.

    Once there is room the same call goes on.
    """
    first = make_release(tmp_path, repo_id, 1).publish_to(hub)
    release = make_release(tmp_path, repo_id, 2)
    server.faults.add(Fault(match="^PUT /_lfs", mode="status", status=507, times=99))

    with pytest.raises(HubFullError, match="has no room left"):
        release.publish_to(hub)

    assert hub.refs(repo_id).branches["main"] == first.main.commit
    assert hub.refs(repo_id).tags.keys() == {"v1.0.0", "v1.0.0-auto_gptq"}
    server.faults.clear()
    assert release.publish_to(hub).commits == 2


def test_a_file_that_is_too_large(server: LocalHub, hub: Hub, repo_id: str, tmp_path: Path) -> None:
    """The error says what to make smaller."""
    server.faults.add(Fault(match="/commit/", mode="status", status=413))

    with pytest.raises(TooLargeForHubError, match="max_shard_gib"):
        make_release(tmp_path, repo_id, 1).publish_to(hub)


def test_a_repository_and_a_revision_that_are_not_there(
    server: LocalHub, hub: Hub, repo_id: str
) -> None:
    """They are told apart."""
    with pytest.raises(UnknownRepositoryError, match=repo_id):
        hub.refs(repo_id)
    server.api().create_repo(repo_id)
    with pytest.raises(UnknownRevisionError, match=f"{repo_id}.*no such branch, tag or commit"):
        hub.resolve(repo_id, "v9")


@pytest.mark.parametrize("repo_id", ["has spaces/x", "a/b/c", "x--y"])
def test_what_cannot_be_a_repository(hub: Hub, repo_id: str) -> None:
    """The client's own rules for names come back as the same error."""
    with pytest.raises(UnknownRepositoryError, match="no name of a repository"):
        hub.commits(repo_id, "main")


def test_a_local_file_that_is_gone(
    server: LocalHub, hub: Hub, repo_id: str, tmp_path: Path
) -> None:
    """The disk's troubles are not told as the Hub's."""
    server.api().create_repo(repo_id)
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"x")
    operation = CommitOperationAdd("model.safetensors", str(path))
    path.unlink()

    with pytest.raises(StorageError, match=str(path)):
        hub.commit(repo_id, "main", [operation], parent=hub.resolve(repo_id, "main"), title="x")


def test_nothing_of_an_error_holds_the_token(server: LocalHub, repo_id: str) -> None:
    """Not its message, its causes, its variables or its pickle, though the client's had it all."""
    secret = "hf_LooksLikeAToken"  # noqa: S105 -- it opens nothing
    hub = hub_of(server, secret)

    with pytest.raises(RejectedTokenError) as failure:
        hub.create(repo_id, private=False)

    error = failure.value
    assert error.__cause__ is None
    assert error.__context__ is None
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame.locals for frame in shown.stack if "/tests/" not in frame.filename]
    assert secret not in str(frames)
    assert secret.encode() not in pickle.dumps(error)


def test_what_a_server_repeats_is_hidden() -> None:
    """A proxy that puts the request into its answer does not get the token into a log."""
    attempt = Attempt("http://hub", "acme/m", "reading", HubToken("hf_abc", "the test"))

    error = told(ConnectionError("bad request: Authorization: Bearer hf_abc"), attempt)

    assert error is not None
    assert "hf_abc" not in str(error)
    assert "(the token)" in str(error)


def test_long_answers_are_cut() -> None:
    """A page of HTML is not a message."""
    attempt = Attempt("http://hub", "acme/m", "reading", None)

    assert len(attempt.quote("<p>no</p> " * 1000)) < 320


def test_a_hub_without_xet() -> None:
    """The client's default way to upload fails with a bare ConnectionError: the remedy is named."""
    attempt = Attempt("http://hub", "acme/m", "committing", None)

    error = told(ConnectionError("404 … /xet-write-token/main"), attempt)

    assert isinstance(error, HubUnreachableError)
    assert "HF_HUB_DISABLE_XET=1" in str(error)


def test_a_fault_of_the_program_stays_one() -> None:
    """What is none of the Hub's doing is not told as such."""
    attempt = Attempt("http://hub", "acme/m", "reading", None)

    assert told(ValueError("not enough values to unpack"), attempt) is None
