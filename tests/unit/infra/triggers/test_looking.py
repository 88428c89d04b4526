"""A tag starts a release once: seen twice, by two ways, after a crash, or moved."""

from pathlib import Path

import pytest

from infra.store import FolderStore
from infra.triggers.key import TagKey
from infra.triggers.ledger import Ledger
from infra.triggers.looking import look
from infra.triggers.pattern import TagPattern

REPO = "acme/model"
ONE, TWO = "1" * 40, "2" * 40
PATTERN = TagPattern.parse("release/*")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Return an empty ledger."""
    return Ledger(FolderStore(tmp_path), "https://hub")


def key(tag: str = "release/v1", commit: str = ONE) -> TagKey:
    """Return a key of the repository."""
    return TagKey(repo_id=REPO, tag=tag, commit=commit)


def test_only_tags_of_the_pattern_are_new(ledger: Ledger) -> None:
    """The tags that a release sets, and anybody's others, start nothing."""
    tags = {"v1": ONE, "v1-auto_gptq": TWO, "nightly": ONE, "release/v1": ONE}

    assert look(REPO, tags, PATTERN, ledger) == ((key(),), ())


def test_a_tag_is_new_until_its_announcement_is_on_record(ledger: Ledger) -> None:
    """A crash between looking and announcing loses no tag; an announced one is quiet for ever."""
    tags = {"release/v1": ONE}

    assert look(REPO, tags, PATTERN, ledger).new == (key(),)
    assert look(REPO, tags, PATTERN, ledger).new == (key(),)
    ledger.announced(key())
    assert look(REPO, tags, PATTERN, ledger) == ((), ())


def test_what_is_on_record_outlives_a_restart(ledger: Ledger, tmp_path: Path) -> None:
    """The ledger is in the store, not in a process."""
    look(REPO, {"release/v1": ONE}, PATTERN, ledger)
    ledger.announced(key())

    again = Ledger(FolderStore(tmp_path), "https://hub")

    assert look(REPO, {"release/v1": ONE}, PATTERN, again) == ((), ())


def test_hubs_have_entries_of_their_own(ledger: Ledger, tmp_path: Path) -> None:
    """The same name on another Hub is another repository."""
    look(REPO, {"release/v1": ONE}, PATTERN, ledger)
    ledger.announced(key())

    other = Ledger(FolderStore(tmp_path), "https://another")

    assert look(REPO, {"release/v1": TWO}, PATTERN, other).new == (key(commit=TWO),)


def test_a_tag_that_moved_is_refused(ledger: Ledger) -> None:
    """It is told of, with both commits, and never announced."""
    look(REPO, {"release/v1": ONE}, PATTERN, ledger)
    ledger.announced(key())

    seen = look(REPO, {"release/v1": TWO}, PATTERN, ledger)

    assert seen.new == ()
    (moved,) = seen.moved
    assert (moved.key.commit, moved.first_commit) == (TWO, ONE)
    assert "was at 1111111" in moved.words
    assert "is at 2222222 now: refused" in moved.words


def test_a_tag_that_moved_before_it_was_announced_is_refused_too(ledger: Ledger) -> None:
    """The commit at first sight counts, whether or not its release has started."""
    look(REPO, {"release/v1": ONE}, PATTERN, ledger)

    assert look(REPO, {"release/v1": TWO}, PATTERN, ledger).new == ()


def test_a_moved_tag_is_told_of_once(ledger: Ledger) -> None:
    """Its report is put on record like an announcement."""
    look(REPO, {"release/v1": ONE}, PATTERN, ledger)
    ledger.announced(key(commit=TWO))

    assert look(REPO, {"release/v1": TWO}, PATTERN, ledger) == ((), ())


def test_outcomes_are_on_record(ledger: Ledger) -> None:
    """What was published stays so; what the gate stopped is known, and not published."""
    assert ledger.was_published(key()) is None
    assert ledger.was_judged(key()) is None
    ledger.judged(key(), "held")
    assert ledger.was_judged(key()) == "held"
    assert ledger.was_published(key()) is None
    ledger.published(key(), "acme/int4@" + TWO)
    assert ledger.was_published(key()) == "acme/int4@" + TWO


def test_the_event_of_a_tag_has_one_id() -> None:
    """However often it is delivered, a server can see that it is the same."""
    assert key().event_id == key().event_id
    assert len({key().event_id, key("release/v2").event_id, key(commit=TWO).event_id}) == 3
