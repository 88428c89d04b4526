"""Calibration data sets: plain text, and conversations about pictures in LLaVA's form."""

import json
from collections.abc import Iterable
from pathlib import Path

from infra.demo.conversations import converse
from infra.demo.draw import render, to_jpeg
from infra.demo.grammar import write_story
from infra.demo.questions import Turn
from infra.demo.seeds import stream
from infra.demo.transcripts import write_transcript
from infra.demo.world import draw_scene
from infra.files import write_atomically

_SAID_BY = ("human", "gpt")


def write_text_set(path: Path, *, count: int, seed: int) -> Path:
    """Write stories as JSON lines with one column, "text".

    Args:
        path: File to write.
        count: Number of stories, each of 300 tokens or more.
        seed: The same seed gives the same bytes.

    Returns:
        `path`.
    """
    rng = stream(seed, "text")
    return _write_lines(path, [write_story(rng) for _ in range(count)])


def write_mixed_text_set(path: Path, *, count: int, seed: int) -> Path:
    """Write stories and transcripts in turn, in the same form: text of more than one kind.

    Args:
        path: File to write.
        count: Number of documents, each of 300 tokens or more.
        seed: The same seed gives the same bytes; the stories are those of `write_text_set`.

    Returns:
        `path`.
    """
    stories, talk = stream(seed, "text"), stream(seed, "transcripts")
    texts = [
        write_transcript(talk) if place % 2 else write_story(stories) for place in range(count)
    ]
    return _write_lines(path, texts)


def _write_lines(path: Path, texts: Iterable[str]) -> Path:
    """Write documents as JSON lines."""
    lines = "".join(f"{json.dumps({'text': text})}\n" for text in texts)
    write_atomically(path, lines.encode())
    return path


def _messages(turns: tuple[Turn, ...]) -> list[dict[str, str]]:
    """Lay out turns as messages; the first one begins with the picture."""
    said = [text for turn in turns for text in (turn.question, turn.answer)]
    said[0] = f"<image>\n{said[0]}"
    return [{"from": _SAID_BY[place % 2], "value": text} for place, text in enumerate(said)]


def write_conversation_set(folder: Path, *, count: int, seed: int) -> Path:
    """Write conversations of three to five turns, and the pictures they are about.

    Args:
        folder: Receives `conversations.json` and `images/`.
        count: Number of conversations, each about a picture of its own.
        seed: The same seed gives the same bytes.

    Returns:
        The path of the JSON file.
    """
    rng = stream(seed, "conversations")
    records: list[dict[str, object]] = []
    for place in range(count):
        scene = draw_scene(rng)
        name = f"images/{place:06d}.jpg"
        write_atomically(folder / name, to_jpeg(render(scene)))
        messages = _messages(converse(scene, rng))
        records.append({"id": f"{place:06d}", "image": name, "conversations": messages})
    path = folder / "conversations.json"
    write_atomically(path, (json.dumps(records, indent=1) + "\n").encode())
    return path
