"""What is read behind a shared picture is what is read in one piece, to rounding."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from infra.evaluation.engine import Generation
from infra.evaluation.greedy import Generated, decode
from infra.evaluation.inputs import Prompter, open_prompter
from infra.evaluation.prefix import left_padded, read_prefixes, read_suffixes, read_whole
from tests.support.asking import questions

ASKED = questions(6)


@pytest.fixture(scope="module")
def prompter(tiny_model: Path) -> Prompter:
    """Return the tiny model's prompter."""
    return open_prompter(tiny_model, Generation())


@pytest.fixture(scope="module")
def expected(tiny_whole: Any, prompter: Prompter) -> Tensor:
    """Return the last logits of every question, from the model's own call, one at a time."""
    rows = []
    for prompt in prompter.prompts(ASKED):
        picture = prompter.picture(prompt.request, prompt.size)
        inputs = prompter.processor(
            text=[prompter.text(prompt.request)], images=[picture], return_tensors="pt"
        )
        with torch.no_grad():
            rows.append(tiny_whole(**inputs).logits[0, -1])
    return torch.stack(rows)


def test_whole_prompts_in_one_batch(tiny_whole: Any, prompter: Prompter, expected: Tensor) -> None:
    """Padding on the left, and pictures of different sizes beside each other, change nothing."""
    prompts = prompter.prompts(ASKED)
    opened = read_whole(tiny_whole, prompts, [prompter.pixels(prompt) for prompt in prompts])

    torch.testing.assert_close(opened.logits, expected, rtol=1e-4, atol=1e-4)


def test_questions_behind_shared_pictures(
    tiny_whole: Any, prompter: Prompter, expected: Tensor
) -> None:
    """Padding before the picture and behind it change nothing, and pictures can be used again."""
    prompts = prompter.prompts(ASKED)
    images = list(dict.fromkeys(request.image for request in ASKED))
    firsts = [next(p for p in prompts if p.request.image == image) for image in images]
    rows = [images.index(request.image) for request in ASKED]

    prefixes = read_prefixes(tiny_whole, firsts, [prompter.pixels(prompt) for prompt in firsts])
    both = [read_suffixes(tiny_whole, prefixes, prompts, rows) for _ in range(2)]

    assert len(images) == 6 < len(ASKED)
    assert len({prompt.prefix_length for prompt in prompts}) > 1
    torch.testing.assert_close(both[0].logits, expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(both[0].logits, both[1].logits)


def test_both_ways_go_on_in_the_same_place(tiny_whole: Any, prompter: Prompter) -> None:
    """The first token's position is that of the text, not the number of tokens before it."""
    prompts = prompter.prompts(ASKED)
    pixels = [prompter.pixels(prompt) for prompt in prompts]
    whole = read_whole(tiny_whole, prompts, pixels)
    prefixes = read_prefixes(tiny_whole, prompts, pixels)
    parts = read_suffixes(tiny_whole, prefixes, prompts, range(len(prompts)))

    assert torch.equal(whole.position, parts.position)
    assert (whole.position < torch.tensor([prompt.length for prompt in prompts])).all()
    assert decode(tiny_whole, whole, stop={-1}, longest=5) == decode(
        tiny_whole, parts, stop={-1}, longest=5
    )


def test_rows_end_each_on_its_own(tiny_whole: Any, prompter: Prompter) -> None:
    """A row that has ended leaves the batch; the others go on as if it had never been there."""
    prompts = prompter.prompts(ASKED)
    pixels = [prompter.pixels(prompt) for prompt in prompts]

    def said(stop: set[int], rows: slice = slice(None)) -> list[Generated]:
        opened = read_whole(tiny_whole, prompts[rows], pixels[rows])
        return decode(tiny_whole, opened, stop=stop, longest=6)

    endless = said(set())
    stop = {endless[0].tokens[2], endless[3].tokens[0]}
    ended = said(stop)

    assert all(len(row.tokens) == 6 and row.capped for row in endless)
    assert ended[3] == Generated([], capped=False)
    assert len(ended[0].tokens) <= 2
    for row, (whole, cut) in enumerate(zip(endless, ended, strict=True)):
        place = next((at for at, token in enumerate(whole.tokens) if token in stop), None)
        assert cut == Generated(whole.tokens[:place], capped=place is None)
        assert said(stop, slice(row, row + 1)) == [cut]


def test_an_end_at_the_longest_length_is_an_end(tiny_whole: Any, prompter: Prompter) -> None:
    """The token that ends an answer counts towards the length, as in `generate`."""
    (prompt,) = prompter.prompts(ASKED[:1])
    pixels = [prompter.pixels(prompt)]

    def said(stop: set[int], longest: int) -> Generated:
        opened = read_whole(tiny_whole, [prompt], pixels)
        return decode(tiny_whole, opened, stop=stop, longest=longest)[0]

    tokens = said(set(), 3).tokens

    assert said({tokens[2]}, 3) == Generated(tokens[:2], capped=False)
    assert said({tokens[2]}, 2) == Generated(tokens[:2], capped=True)


def test_rows_are_aligned_to_the_right() -> None:
    """So that the next token of every row has the same place."""
    tokens, mask = left_padded([(5, 6, 7), (8,)], torch.device("cpu"))

    assert tokens.tolist() == [[5, 6, 7], [8, 8, 8]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]
