"""Workers divide questions by picture, completely, and always the same way."""

from infra.evaluation.question import Question
from infra.evaluation.shards import in_shard, shard_of


def question(index: int, image: str) -> Question:
    """Return a question of which only index and picture matter."""
    return Question(
        index=index, text="", hint=None, options=(), answer="", answers=(), categories=(),
        l2_category=None, split=None, image=image,
    )  # fmt: skip


QUESTIONS = tuple(question(index, f"picture {index // 3}") for index in range(300))


def test_every_question_is_in_one_shard() -> None:
    """Together the shards hold each question once, in the order of the table."""
    shards = [in_shard(QUESTIONS, shard, 4) for shard in range(4)]

    assert sorted(each.index for shard in shards for each in shard) == list(range(300))
    assert all(list(shard) == sorted(shard, key=lambda each: each.index) for shard in shards)


def test_questions_about_a_picture_stay_together() -> None:
    """So that one worker prepares it, once."""
    places: dict[str, set[int]] = {}
    for number in range(4):
        for each in in_shard(QUESTIONS, number, 4):
            places.setdefault(each.image, set()).add(number)

    assert {len(found) for found in places.values()} == {1}
    assert {number for found in places.values() for number in found} == {0, 1, 2, 3}


def test_the_shard_of_a_picture_never_moves() -> None:
    """Not with the process (Python's own hash would) and not with the version."""
    assert [shard_of(f"picture {number}", 5) for number in range(6)] == [0, 4, 0, 4, 2, 2]


def test_one_shard_has_everything() -> None:
    """Without division nothing is left out."""
    assert in_shard(QUESTIONS, 0, 1) == QUESTIONS
