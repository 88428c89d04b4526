"""Whichever way answers are come by, they are those of `model.generate`, one question at a time."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from infra.demo import MODEL_DIR
from infra.demo.benchmarks import BenchmarkSizes
from infra.errors import EngineMemoryError, PromptError
from infra.evaluation.engine import Answer, Generation, Request
from infra.evaluation.transformers_engine import Mode, TransformersEngine
from tests.support.asking import answers, demo_questions, open_whole, photo, questions, with_stop

FAST: tuple[Mode, ...] = ("batched", "shared_prefix")
SHORT = Generation(max_new_tokens=5, batch_size=4)


def test_every_way_gives_the_same_answers(demo_whole: Any, tmp_path: Path) -> None:
    """On every kind of benchmark, in float32: text, tokens and whether the answer was cut."""
    sizes = BenchmarkSizes(circular_groups=3, science=8, reading=8, presence=12)
    generation = Generation(min_pixels=1280 * 784, max_pixels=16384 * 784, batch_size=8)
    for name, asked in demo_questions(tmp_path, sizes).items():
        one, *others = (
            answers(TransformersEngine(demo_whole, MODEL_DIR, generation, mode=mode), asked)
            for mode in get_args(Mode)
        )
        assert [answer.index for answer in one] == sorted(request.index for request in asked)
        assert sum(not answer.capped for answer in one) == len(one), name
        assert others == [one, one], name


@pytest.mark.parametrize("mode", FAST)
def test_mixed_pictures_and_lengths_give_the_same_answers(
    tiny_model: Path, tiny_whole: Any, tmp_path: Path, mode: Mode
) -> None:
    """Pictures of five shapes, one to four questions each, answers that end at every length."""
    asked = questions(6)
    folder = with_stop(tiny_model, tmp_path / "model", list(range(130, 230)))

    expected = answers(TransformersEngine(tiny_whole, folder, SHORT, mode="one_by_one"), asked)
    found = answers(TransformersEngine(tiny_whole, folder, SHORT, mode=mode), asked)

    assert found == expected
    assert {answer.tokens for answer in expected} == {0, 1, 3, 4, 5}
    assert {answer.capped for answer in expected} == {False, True}


@pytest.mark.parametrize("mode", get_args(Mode))
def test_answers_are_cut_at_the_longest_length(
    tiny_model: Path, tiny_whole: Any, mode: Mode
) -> None:
    """A model that never ends by itself gives just so many tokens, and each answer says so."""
    found = answers(TransformersEngine(tiny_whole, tiny_model, SHORT, mode=mode), questions(2))

    assert [(answer.tokens, answer.capped) for answer in found] == [(5, True)] * len(found)


def test_a_picture_is_read_once_for_all_its_questions(tiny_model: Path, tiny_whole: Any) -> None:
    """Even when there are more questions about it than a batch holds."""
    asked = [Request(index, photo((56, 56), index // 6), f"{index}?") for index in range(12)]
    read: list[int] = []
    tower = tiny_whole.model.visual
    hook = tower.register_forward_hook(
        lambda _, __, kwargs, ___: read.append(len(kwargs["grid_thw"])), with_kwargs=True
    )
    try:
        shared = answers(TransformersEngine(tiny_whole, tiny_model, SHORT), asked)
        pictures = sum(read)
        batched = answers(TransformersEngine(tiny_whole, tiny_model, SHORT, mode="batched"), asked)
    finally:
        hook.remove()

    assert (pictures, sum(read) - pictures) == (2, 12)
    assert shared == batched


@pytest.mark.parametrize("mode", FAST)
def test_batches_hold_no_more_than_asked(tiny_model: Path, tiny_whole: Any, mode: Mode) -> None:
    """No pass through the model has more rows than batch_size."""
    rows: list[int] = []
    hook = tiny_whole.model.language_model.register_forward_pre_hook(
        lambda _, __, kwargs: rows.append(len(kwargs["inputs_embeds"])), with_kwargs=True
    )
    try:
        answers(TransformersEngine(tiny_whole, tiny_model, SHORT, mode=mode), questions(8))
    finally:
        hook.remove()

    assert max(rows) == SHORT.batch_size


class _SmallMemory:
    """Makes a model run out of memory with more than ``most`` rows of text at once."""

    def __init__(self, model: Any, most: int) -> None:
        self.failed = 0
        self.most = most
        self.hook = model.model.language_model.register_forward_pre_hook(self, with_kwargs=True)

    def __call__(self, _module: object, _inputs: object, kwargs: dict[str, Any]) -> None:
        if len(kwargs["inputs_embeds"]) > self.most:
            self.failed += 1
            message = "CUDA out of memory. Tried to allocate 1 GiB"
            raise torch.OutOfMemoryError(message)


@pytest.mark.parametrize("mode", FAST)
@pytest.mark.parametrize("most", [1, 3])
def test_out_of_memory_halves_the_batch_and_goes_on(
    tiny_model: Path, tiny_whole: Any, mode: Mode, most: int
) -> None:
    """Every question is answered once, as with enough memory, and the lesson is learned once."""
    asked, roomy = questions(6), replace(SHORT, batch_size=8)
    expected = answers(TransformersEngine(tiny_whole, tiny_model, roomy, mode=mode), asked)
    memory = _SmallMemory(tiny_whole, most)
    try:
        found = answers(TransformersEngine(tiny_whole, tiny_model, roomy, mode=mode), asked)
    finally:
        memory.hook.remove()

    assert found == expected
    assert 0 < memory.failed <= 6


@pytest.mark.parametrize("mode", FAST)
def test_a_question_that_never_fits_is_an_error(
    tiny_model: Path, tiny_whole: Any, mode: Mode
) -> None:
    """The message says what helps."""
    memory = _SmallMemory(tiny_whole, 0)
    try:
        with pytest.raises(EngineMemoryError, match="Lower max_pixels"):
            answers(TransformersEngine(tiny_whole, tiny_model, SHORT, mode=mode), questions(2))
    finally:
        memory.hook.remove()


def test_sampling_settings_of_the_checkpoint_do_not_matter(
    tiny_model: Path, tiny_whole: Any, tmp_path: Path
) -> None:
    """A folder that asks for sampling, or a model that carries it, is answered greedily too."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    config = folder / "generation_config.json"
    told = config.read_text().replace('"do_sample": false', '"do_sample": true, "temperature": 9.0')
    config.write_text(told)
    sampling = open_whole(tiny_model)
    sampling.generation_config.do_sample = True
    sampling.generation_config.temperature = 9.0
    sampling.generation_config.repetition_penalty = 3.0
    asked = questions(2)

    expected = answers(TransformersEngine(tiny_whole, tiny_model, SHORT), asked)

    for mode in get_args(Mode):
        assert answers(TransformersEngine(sampling, folder, SHORT, mode=mode), asked) == expected


@pytest.mark.parametrize("mode", get_args(Mode))
def test_sixteen_bit_models_answer_too(tiny_model: Path, mode: Mode) -> None:
    """In bfloat16 each question is answered once, the same each time."""
    model, asked = open_whole(tiny_model, torch.bfloat16), questions(3)
    first, second = (
        answers(TransformersEngine(model, tiny_model, SHORT, mode=mode), asked) for _ in range(2)
    )

    assert [answer.index for answer in first] == list(range(len(asked)))
    assert first == second


def test_a_question_that_cannot_be_put_stops_before_the_first_answer(
    tiny_model: Path, tiny_whole: Any
) -> None:
    """What is wrong with a table comes to light at once, not after hours."""
    asked = [*questions(3), Request(99, b"no picture", "?")]

    with pytest.raises(PromptError, match="index 99"):
        next(iter(TransformersEngine(tiny_whole, tiny_model, SHORT).answer(asked)))


def test_nothing_asked_is_nothing_answered(tiny_model: Path, tiny_whole: Any) -> None:
    """An empty shard is finished at once."""
    assert answers(TransformersEngine(tiny_whole, tiny_model, SHORT), []) == []


def test_the_identity_tells_what_decides_an_answer(tiny_model: Path, tiny_whole: Any) -> None:
    """Precision, way, lengths and effective bounds; neither device nor size of batches."""
    engine = TransformersEngine(tiny_whole, tiny_model, replace(SHORT, min_pixels=10**7))
    told = dict(engine.identity)

    assert told.pop("version").startswith("5.")
    assert told.pop("torch").startswith("2.")
    assert len(str(told.pop("prompting"))) == 64
    assert told == {
        "engine": "transformers",
        "dtype": "float32",
        "kernels": "plain",
        "mode": "shared_prefix",
        "max_new_tokens": 5,
        "min_pixels": 3136,
        "max_pixels": 50176,
        "stop": "404,406",
    }


@pytest.mark.parametrize(
    "other",
    [
        replace(SHORT, max_new_tokens=6),
        replace(SHORT, min_pixels=4000),
        replace(SHORT, max_pixels=40000),
    ],
)
def test_other_settings_are_another_identity(
    tiny_model: Path, tiny_whole: Any, other: Generation
) -> None:
    """Each setting that moves answers moves it; the size of batches does not."""
    identity = TransformersEngine(tiny_whole, tiny_model, SHORT).identity

    assert TransformersEngine(tiny_whole, tiny_model, other).identity != identity
    same = TransformersEngine(tiny_whole, tiny_model, replace(SHORT, batch_size=1)).identity
    assert same == identity


def test_the_demo_model_answers_in_words(demo_whole: Any) -> None:
    """A real answer: text as it is, its tokens counted without the end, not cut."""
    request = Request(4, photo((112, 112)), "Is there a star? Please answer yes or no.")

    (answer,) = answers(TransformersEngine(demo_whole, MODEL_DIR, Generation()), [request])

    assert answer in [Answer(4, word, 1, capped=False) for word in ("Yes", "No")]
