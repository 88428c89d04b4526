"""Answers by transformers: on a CPU or a GPU, as a client of the checkpoint gets them.

Three ways to the same answers:

    one_by_one      a question at a time through `model.generate`: what the others are held to
    batched         questions of similar length together, padded on the left
    shared_prefix   as batched, but each picture is read once for all questions about it

In 16-bit arithmetic a near-tie between two tokens can fall differently with the shape of a batch,
so the way is part of the engine's identity, and models that are compared take the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import GenerationConfig

from infra.errors import EngineMemoryError
from infra.evaluation.batching import Group, Limit, ahead, by_length, by_picture, halving
from infra.evaluation.engine import Answer, Generation, Request
from infra.evaluation.greedy import Opened, decode
from infra.evaluation.inputs import Pixels, Prompt, open_prompter
from infra.evaluation.prefix import Prefixes, read_prefixes, read_suffixes, read_whole
from infra.evaluation.stopping import stop_tokens

Mode = Literal["one_by_one", "batched", "shared_prefix"]


class TransformersEngine:
    """An `Engine` around a loaded model.

    Args:
        model: A `Qwen2VLForConditionalGeneration` in eval mode, of any precision, on any device.
        folder: Its tokenizer, preprocessor, chat template and generation_config.json.
        generation: How answers are generated.
        mode: The way to them.

    Raises:
        ProcessorError: The folder has no processor that takes pictures, or no chat template.
        ModelConfigError: Nothing tells which token ends an answer.
    """

    def __init__(
        self, model: Any, folder: Path, generation: Generation, *, mode: Mode = "shared_prefix"
    ) -> None:
        self._model = model
        self._generation = generation
        self._mode = mode
        self._prompter = open_prompter(folder, generation)
        self._stop = stop_tokens(folder, self._prompter.processor.tokenizer)
        self._limit = Limit(generation.batch_size)

    @property
    def identity(self) -> Mapping[str, str | int]:
        """All that decides an answer besides weights, prompt and image."""
        told = self._model.config.to_dict().get("quantization_config") or {}
        return {
            "engine": "transformers",
            "version": version("transformers"),
            "torch": version("torch").partition("+")[0],
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "kernels": str(told.get("quant_method", "plain")),
            "mode": self._mode,
            "max_new_tokens": self._generation.max_new_tokens,
            "min_pixels": self._prompter.bounds.smallest,
            "max_pixels": self._prompter.bounds.largest,
            "stop": ",".join(map(str, sorted(self._stop))),
            "prompting": self._prompter.digest(),
        }

    def answer(self, requests: Sequence[Request]) -> Iterator[Sequence[Answer]]:
        """Yield answers batch by batch, each request answered once.

        Raises:
            PromptError: A question or its picture cannot be put to the model.
            EngineMemoryError: Not even one question fits into memory.
        """
        prompts = self._prompter.prompts(requests)
        ways = {
            "one_by_one": self._one_by_one,
            "batched": self._batched,
            "shared_prefix": self._shared,
        }
        try:
            yield from ways[self._mode](prompts)
        except torch.OutOfMemoryError as error:
            raise EngineMemoryError(
                f"Not even one question fits into memory: {error}. Lower max_pixels, use a "
                "smaller dtype, or a machine with more memory. Answers so far are kept."
            ) from error

    def _one_by_one(self, prompts: Sequence[Prompt]) -> Iterator[Sequence[Answer]]:
        for prompt in prompts:
            yield [self._generate(prompt)]

    def _batched(self, prompts: Sequence[Prompt]) -> Iterator[Sequence[Answer]]:
        batches = by_length(prompts, self._limit.rows)
        for batch, pixels in ahead(self._prompter.pixels, batches):
            pairs = tuple(zip(batch, pixels, strict=True))
            yield from halving(self._answer_whole, pairs, self._limit)

    def _shared(self, prompts: Sequence[Prompt]) -> Iterator[Sequence[Answer]]:
        batches = by_picture(prompts, self._limit.rows)
        for batch, pixels in ahead(self._pixels_of, batches):
            pairs = tuple(zip(batch, pixels, strict=True))
            # a group is at least a row, so no more groups than rows are read at once
            yield from halving(self._answer_groups, pairs, self._limit)

    def _pixels_of(self, group: Group) -> Pixels:
        return self._prompter.pixels(group[0])

    def _answer_whole(self, pairs: Sequence[tuple[Prompt, Pixels]]) -> list[Answer]:
        prompts, pixels = zip(*pairs, strict=True)
        return self._decode(prompts, read_whole(self._model, prompts, pixels))

    def _answer_groups(self, pairs: Sequence[tuple[Group, Pixels]]) -> list[Answer]:
        groups, pixels = zip(*pairs, strict=True)
        prefixes = read_prefixes(self._model, [group[0] for group in groups], pixels)
        rows = tuple((row, prompt) for row, group in enumerate(groups) for prompt in group)
        run = partial(self._answer_rows, prefixes)
        return [answer for part in halving(run, rows, self._limit) for answer in part]

    def _answer_rows(self, prefixes: Prefixes, rows: Sequence[tuple[int, Prompt]]) -> list[Answer]:
        places, prompts = zip(*rows, strict=True)
        return self._decode(prompts, read_suffixes(self._model, prefixes, prompts, places))

    @torch.inference_mode()
    def _generate(self, prompt: Prompt) -> Answer:
        """Ask one question with the processor's own call and the model's own loop."""
        prompter, request = self._prompter, prompt.request
        inputs = prompter.processor(
            text=[prompter.text(request)],
            images=[prompter.picture(request, prompt.size)],
            images_kwargs={"do_resize": False},
            return_tensors="pt",
        ).to(self._model.device)
        config = GenerationConfig(
            do_sample=False,
            num_beams=1,
            repetition_penalty=1.0,
            max_new_tokens=self._generation.max_new_tokens,
            eos_token_id=sorted(self._stop),
            pad_token_id=min(self._stop),
        )
        whole = self._model.generate(**inputs, generation_config=config)
        said = whole[0, inputs["input_ids"].shape[1] :].tolist()
        ended = said[-1] in self._stop
        return self._prompter.answer(request, said[:-1] if ended else said, capped=not ended)

    def _decode(self, prompts: Sequence[Prompt], opened: Opened) -> list[Answer]:
        longest = self._generation.max_new_tokens
        said = decode(self._model, opened, stop=self._stop, longest=longest)
        return [
            self._prompter.answer(prompt.request, each.tokens, capped=each.capped)
            for prompt, each in zip(prompts, said, strict=True)
        ]
