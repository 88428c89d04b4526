"""The webhook's route: a secret first, a bounded body, and a hint at the end."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from infra.errors import HubUnreachableError
from infra.triggers.receiver import MAX_BODY_BYTES, ROUTE, create_receiver

SECRET = "a-shared-secret"  # noqa: S105 -- of this test alone
NOTICE = {
    "event": {"action": "update", "scope": "repo.content"},
    "repo": {"type": "model", "name": "acme/model", "id": "6366c000", "headSha": "c" * 40},
    "updatedRefs": [{"ref": "refs/tags/release/v1", "oldSha": None, "newSha": "1" * 40}],
    "webhook": {"id": "6390e855", "version": 3},
}


class World:
    """A receiver, and what it looked at."""

    def __init__(self) -> None:
        self.looked: list[str] = []
        self.failure: Exception | None = None
        self.client = TestClient(create_receiver(SECRET, {"acme/model"}, self.look))

    async def look(self, repo_id: str) -> int:
        """Note what is looked at."""
        self.looked.append(repo_id)
        if self.failure is not None:
            raise self.failure
        return 1

    def post(self, body: bytes | dict[str, Any], secret: str | None = SECRET) -> tuple[int, Any]:
        """Send a notice; return the answer's status and content."""
        headers = {} if secret is None else {"X-Webhook-Secret": secret}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.client.post(ROUTE, content=content, headers=headers)
        return answer.status_code, answer.json()


@pytest.fixture
def world() -> Iterator[World]:
    """Return a receiver that watches one repository."""
    yield (made := World())
    made.client.close()


def test_a_notice_makes_us_look_at_the_repository(world: World) -> None:
    """What the notice says of tags and commits is not used; the Hub is asked."""
    assert world.post(NOTICE) == (202, {"announced": 1})
    assert world.looked == ["acme/model"]


@pytest.mark.parametrize(("secret", "status"), [(None, 401), ("wrong", 403), ("", 403)])
def test_without_the_secret_nothing_is_read(world: World, secret: str | None, status: int) -> None:
    """A wrong secret is refused before the body is looked at, and is not repeated."""
    code, answer = world.post(b"no JSON at all", secret)

    assert code == status
    assert SECRET not in json.dumps(answer)
    assert world.looked == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"repo": {}}', b'{"repo": {"name": 5}}', b"\xff\xfe"],
)
def test_what_is_no_notice_is_refused(world: World, body: bytes) -> None:
    """Malformed content gets 422 and a word on what is wrong."""
    code, answer = world.post(body)

    assert code == 422
    assert "no notice of a Hub's webhook" in answer["error"]
    assert world.looked == []


def test_a_large_body_is_refused_unread(world: World) -> None:
    """A declared length is enough to refuse."""
    assert world.post(b" " * (MAX_BODY_BYTES + 1))[0] == 413
    assert world.looked == []


def test_a_large_body_without_a_length_is_cut_off(world: World) -> None:
    """Who hides the length is refused once too much has come."""
    pieces = (b" " * 65536 for _ in range(100))
    answer = world.client.post(ROUTE, content=pieces, headers={"X-Webhook-Secret": SECRET})

    assert answer.status_code == 413


def test_a_repository_that_nobody_watches_is_refused(world: World) -> None:
    """The answer names it, so that a wrong webhook is found."""
    code, answer = world.post(NOTICE | {"repo": {"type": "model", "name": "acme/other"}})

    assert (code, answer) == (404, {"error": "acme/other is not watched here."})


@pytest.mark.parametrize(
    "change",
    [
        {"updatedRefs": []},
        {"updatedRefs": [{"ref": "refs/heads/main", "newSha": "1" * 40}]},
        {"repo": {"type": "dataset", "name": "acme/model"}},
    ],
)
def test_what_is_not_about_tags_is_taken_and_left(world: World, change: dict[str, Any]) -> None:
    """Commits and data sets come by the same webhook, and start nothing."""
    assert world.post(NOTICE | change) == (202, {"announced": 0})
    assert world.looked == []


def test_a_look_that_fails_is_answered_so_that_the_hub_tries_again(world: World) -> None:
    """503 makes a Hub deliver once more, and the log tells why."""
    world.failure = HubUnreachableError("The Hub does not answer.")

    assert world.post(NOTICE) == (
        503,
        {"error": "acme/model could not be looked at now: The Hub does not answer."},
    )


def test_an_empty_secret_is_no_secret() -> None:
    """A receiver that anybody could call does not start."""
    with pytest.raises(ValueError, match="anybody could start a release"):
        create_receiver("", {"acme/model"}, World().look)
