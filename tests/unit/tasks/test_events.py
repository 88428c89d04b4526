"""What Prefect is told of a tag: labels to match, and a payload to take parameters from."""

from infra.triggers.key import TagKey
from infra.triggers.looking import Moved
from tasks import events

KEY = TagKey(repo_id="acme/model", tag="release/v1", commit="1" * 40)


def test_a_tag_is_told_of_with_what_its_release_needs() -> None:
    """Repository, tag and the commit in full."""
    told = events.created(KEY)

    assert told["event"] == "roundhouse.tag.created"
    assert told["payload"] == {"repo_id": "acme/model", "tag": "release/v1", "commit": "1" * 40}
    assert told["resource"]["prefect.resource.id"] == "roundhouse.repository.acme.model"


def test_the_same_tag_is_the_same_event() -> None:
    """A server that hears it twice can know that."""
    assert events.created(KEY)["id"] == events.created(KEY)["id"]


def test_a_moved_tag_is_another_event() -> None:
    """No automation starts a release by it; a person reads why."""
    moved = Moved(KEY.model_copy(update={"commit": "2" * 40}), "1" * 40)
    told = events.moved(moved)

    assert told["event"] == "roundhouse.tag.moved"
    assert told["id"] != events.created(KEY)["id"]
    assert told["payload"]["message"] == moved.words
