"""Which worker asks which question: all questions about a picture go to the same one.

A picture is then prepared and read once, however many workers there are, and the share of each
follows from the pictures alone: whoever asks gets the same answer.
"""

import hashlib
from collections.abc import Sequence

from infra.evaluation.question import Question


def shard_of(image: str, shards: int) -> int:
    """Return the number of the shard, from 0, that a picture's name belongs to."""
    digest = hashlib.sha256(image.encode()).digest()
    return int.from_bytes(digest[:8]) % shards


def in_shard(questions: Sequence[Question], shard: int, shards: int) -> tuple[Question, ...]:
    """Return the questions that shard number ``shard`` of ``shards`` asks, in their order."""
    return tuple(each for each in questions if shard_of(each.image, shards) == shard)
