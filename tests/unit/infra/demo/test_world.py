"""Scenes, questions about them, and stories: what is said must be true."""

import re

import pytest

from infra.demo import choices, questions
from infra.demo.draw import render
from infra.demo.grammar import write_story
from infra.demo.looking import cell_words
from infra.demo.seeds import stream
from infra.demo.world import COLOURS, GRID, SHAPES, SIDE, Scene, Thing, draw_scene

_SCENE = Scene(
    (Thing("circle", "red", 0, 1), Thing("star", "blue", 2, 3)), text="fox", background=0, jitter=1
)


def test_streams_differ_by_seed_and_by_name() -> None:
    """Each data set has random numbers of its own."""
    first = [stream(*key).random() for key in ((1, "a"), (1, "b"), (2, "a"), (1, "a"))]
    assert len(set(first)) == 3
    assert first[0] == first[3]


def test_scenes_have_unique_shapes_colours_and_cells() -> None:
    """No lookup has two answers."""
    for seed in range(50):
        things = draw_scene(stream(seed, "scene")).things
        assert 1 <= len(things) <= 4
        for part in ("shape", "colour"):
            assert len({getattr(thing, part) for thing in things}) == len(things)
        assert len({(thing.row, thing.column) for thing in things}) == len(things)
        assert all(thing.row < GRID - 1 for thing in things)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_thing_is_drawn_inside_its_own_cell(shape: str, colour: str) -> None:
    """Only the thing's cell differs from an empty picture: one vision token sees all of it."""
    for jitter in range(4):
        empty = render(Scene((), "", 0, jitter))
        drawn = render(Scene((Thing(shape, colour, 1, 2),), "", 0, jitter))
        changed = [
            (place % SIDE, place // SIDE)
            for place, (a, b) in enumerate(
                zip(empty.tobytes()[::3], drawn.tobytes()[::3], strict=True)
            )
            if a != b
        ]
        assert all(56 <= x < 84 and 28 <= y < 56 for x, y in changed)


def test_cells_are_named_by_what_they_show() -> None:
    """The first lesson of the vision tower names things and characters where they stand."""
    words = cell_words(_SCENE)
    assert words[1] == (" red", " circle")
    assert words[11] == (" blue", " star")
    assert words[12:15] == [("f", " fox"), ("o", " fox"), ("x", " fox")]
    assert words[0] == words[15] == (" no", " no")


def test_lookups_are_true() -> None:
    """Answers agree with the scene."""
    rng = stream(0, "lookups")
    truths = {
        "What colour is the circle?": "red", "What colour is the star?": "blue",
        "What shape is red?": "circle", "What shape is blue?": "star",
        "How many shapes are in the picture?": "2", "How many things are in the picture?": "2",
        "What word is written in the picture?": "fox", "What word is shown in the picture?": "fox",
        "Describe the picture.": "a red circle, a blue star and the word fox.",
        "What is in the picture?": "a red circle, a blue star and the word fox.",
    }  # fmt: skip
    asked = [ask(_SCENE, rng) for ask in questions.LOOKUPS for _ in range(8)]
    assert all(truths[turn.question] == turn.answer for turn in asked)


def test_yes_no_is_true_and_balanced() -> None:
    """Half of the answers are yes, and each agrees with the scene."""
    rng = stream(0, "yes-no")
    names = {"circle", "star", "red circle", "blue star"}
    answers = []
    for _ in range(200):
        turn = questions.yes_no(_SCENE, rng)
        found = re.fullmatch(
            r"Is there a (.*) in the image\? Please answer yes or no.", turn.question
        )
        assert found is not None
        assert turn.answer == ("Yes" if found[1] in names else "No")
        answers.append(turn.answer)
    assert 70 < answers.count("Yes") < 130


def test_choices_about_the_picture_have_one_true_option() -> None:
    """The option marked true is true and no other is."""
    rng = stream(0, "choices")
    true = {"red", "blue", "circle", "star", "fox", "a red circle", "a blue star"}
    for _ in range(200):
        choice = choices.about_picture(_SCENE, rng)
        assert len(set(choice.options)) == len(choice.options)
        assert choice.options[choice.answer] in true
        if choice.category in {"ocr", "image_scene"}:
            assert len(true & set(choice.options)) == 1


def test_science_states_the_fact_that_is_asked() -> None:
    """The hint of each question contains the answer and the key to it."""
    rng = stream(0, "science")
    scene = Scene((Thing("cross", "pink", 0, 0),), "fox", 0, 0)
    hints = set()
    for _ in range(50):
        choice = choices.about_science(scene, rng)
        hints.add("Pink things are soft." in choice.hint)
        assert choice.options[choice.answer] in {"soft", "mark"}
        assert "Pink things are soft." in choice.hint or "Crosses can mark." in choice.hint
    assert hints == {True, False}


def test_rotating_all_the_way_round_changes_nothing() -> None:
    """Rotation keeps the true option and is cyclic."""
    choice = choices.about_picture(_SCENE, stream(1, "rotate"))
    size = len(choice.options)
    assert choices.rotate(choice, size) == choice
    for turn in range(size):
        moved = choices.rotate(choice, turn)
        assert moved.options[moved.answer] == choice.options[choice.answer]


def test_stories_keep_their_facts() -> None:
    """Whoever is asked for a home or a colour answers as introduced."""
    asked = 0
    for seed in range(40):
        story = write_story(stream(seed, "story"))
        homes = dict(re.findall(r"(\w+) is a \w+ from (\w+)\.", story))
        assert len(homes) == 2
        for town, name in re.findall(r'"I live in (\w+)," said (\w+)\.', story):
            asked += 1
            assert homes[name] == town
    assert asked > 20
