"""What predictions are compared on: held-out text, and questions with the 16-bit model's answers.

Along one and the same answer (teacher forcing) every model foretells the same tokens, so that their
distributions can be compared token by token; left alone, they would talk of different things after
the first difference.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from infra.calibration.sample import Sample
from infra.calibration.sample import load as load_samples
from infra.evaluation.answerlines import read_lines
from infra.evaluation.engine import Answer
from infra.evaluation.inputs import Prompt, Prompter, open_prompter
from infra.evaluation.question import Question
from infra.store import ArtifactRef, Store
from tasks.asking import generation, open_table, requests
from tasks.contest import Reading
from tasks.evalspecs import AnswersRef, BenchmarksSpec, TableRef


def text_readings(store: Store, text: ArtifactRef) -> tuple[Reading, ...]:
    """Return held-out samples; every token but the first counts."""
    return tuple(Reading(sample, 1) for sample in load_samples(store.open(text)).samples)


def answer_readings(
    folder: Path,
    table: TableRef,
    answers: Sequence[AnswersRef],
    asked: BenchmarksSpec,
    count: int,
    store: Store,
) -> tuple[Reading, ...]:
    """Return at most ``count`` questions of a table with their answers, which alone count.

    Args:
        folder: The 16-bit model's, for its processor.
        table: The benchmark.
        answers: Its answers by the 16-bit model.
        asked: How questions are put.
        count: Questions, spread evenly over the table.
        store: Where the answers are.
    """
    opened = open_table(table, images=True, limit=asked.limit)
    chosen = spread(opened.questions, count)
    told = read_lines([store.open(each.ref) for each in answers])
    prompter = open_prompter(folder, generation(opened, asked))
    prompts = prompter.prompts(requests(opened, chosen, asked))
    return tuple(
        _reading(prompter, prompt, told[question.index])
        for question, prompt in zip(chosen, prompts, strict=True)
    )


def spread(questions: Sequence[Question], count: int) -> tuple[Question, ...]:
    """Choose ``count`` questions at even distances."""
    if count >= len(questions):
        return tuple(questions)
    return tuple(questions[place * len(questions) // count] for place in range(count))


def _reading(prompter: Prompter, prompt: Prompt, answer: Answer) -> Reading:
    """Join a question and its answer, up to the token that ends it."""
    tokenizer = prompter.processor.tokenizer
    said = tokenizer(answer.text, add_special_tokens=False)["input_ids"]
    pictures = [prompter.picture_token] * prompt.picture_tokens
    ids = [*prompt.head, *pictures, *prompt.tail, *said, tokenizer.eos_token_id]
    kinds = torch.zeros(len(ids), dtype=torch.int64)
    kinds[len(prompt.head) : prompt.prefix_length] = 1
    pixels = prompter.pixels(prompt)
    return Reading(Sample(torch.tensor(ids), kinds, pixels.values, pixels.grid), prompt.length)
