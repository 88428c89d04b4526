"""Talk about pictures without the pictures: each is told in words, then asked about.

A text set for calibration should hold what the model is used for, as the pile holds questions and
answers, exams and lists beside its prose.  Stories alone have none of that: their words never meet
an option, a hint or a wish for a short answer.
"""

import random

from infra.demo.conversations import converse
from infra.demo.questions import describe
from infra.demo.world import draw_scene

_PARTS = 6


def write_transcript(rng: random.Random) -> str:
    """Write a transcript of about 650 to 1,100 tokens.

    Args:
        rng: Stream to draw from.

    Returns:
        The text: pictures in words, each followed by the turns of a conversation about it.
    """
    return "\n\n".join(part for _ in range(_PARTS) for part in _part(rng))


def _part(rng: random.Random) -> list[str]:
    """Tell one picture, and talk about it."""
    scene = draw_scene(rng)
    told = f"The picture shows {describe(scene, rng).answer}"
    turns = converse(scene, rng)
    return [told, *(f"Q: {turn.question}\nA: {turn.answer}" for turn in turns)]
