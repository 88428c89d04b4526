"""Answers by vLLM, where it is installed: all questions in one call, those on a picture in a row.

vLLM makes its own batches and shares the tokens that prompts have in common, so there is nothing
left to do but to order them.  Its scores differ from those of transformers: models that are
compared take the same engine.
"""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from infra.errors import MissingEngineError
from infra.evaluation.engine import Answer, Generation, Request
from infra.evaluation.inputs import Prompt, open_prompter
from infra.evaluation.stopping import stop_tokens

Precision = Literal["bfloat16", "float16"]


class VllmEngine:
    """An `Engine` around vLLM; `open_vllm` makes one.

    Args:
        vllm: The package.
        folder: A model or an exported checkpoint with its tokenizer and preprocessor.
        generation: How answers are generated; vLLM chooses its own batches.
        dtype: Precision of activations, and of weights that are not quantized.

    Raises:
        ProcessorError: The folder has no processor that takes pictures, or no chat template.
        ModelConfigError: Nothing tells which token ends an answer.
    """

    def __init__(
        self, vllm: Any, folder: Path, generation: Generation, *, dtype: Precision = "bfloat16"
    ) -> None:
        self._version = str(vllm.__version__)
        self._dtype = dtype
        self._generation = generation
        self._prompter = open_prompter(folder, generation)
        self._stop = stop_tokens(folder, self._prompter.processor.tokenizer)
        self._sampling = vllm.SamplingParams(
            temperature=0.0,
            max_tokens=generation.max_new_tokens,
            stop_token_ids=sorted(self._stop),
        )
        self._llm = vllm.LLM(
            model=str(folder), dtype=dtype, seed=0, limit_mm_per_prompt={"image": 1}
        )

    @property
    def identity(self) -> Mapping[str, str | int]:
        """All that decides an answer besides weights, prompt and image."""
        return {
            "engine": "vllm",
            "version": self._version,
            "dtype": self._dtype,
            "max_new_tokens": self._generation.max_new_tokens,
            "min_pixels": self._prompter.bounds.smallest,
            "max_pixels": self._prompter.bounds.largest,
            "stop": ",".join(map(str, sorted(self._stop))),
            "prompting": self._prompter.digest(),
        }

    def answer(self, requests: Sequence[Request]) -> Iterator[Sequence[Answer]]:
        """Yield all answers at once.

        Raises:
            PromptError: A question or its picture cannot be put to the model.
        """
        ordered = sorted(self._prompter.prompts(requests), key=lambda each: each.request.image)
        outputs = self._llm.generate(self._inputs(ordered), self._sampling, use_tqdm=False)
        yield [
            self._answer(prompt.request, output.outputs[0])
            for prompt, output in zip(ordered, outputs, strict=True)
        ]

    def _inputs(self, prompts: Sequence[Prompt]) -> list[dict[str, Any]]:
        """Lay out prompts; each picture is decoded once, and scaled to a size that vLLM keeps."""
        pictures: dict[bytes, Any] = {}
        for prompt in prompts:
            if prompt.request.image not in pictures:
                picture = self._prompter.picture(prompt.request, prompt.size)
                pictures[prompt.request.image] = picture
        return [
            {
                "prompt": self._prompter.text(prompt.request),
                "multi_modal_data": {"image": pictures[prompt.request.image]},
            }
            for prompt in prompts
        ]

    def _answer(self, request: Request, output: Any) -> Answer:
        tokens = [token for token in output.token_ids if token not in self._stop]
        return self._prompter.answer(request, tokens, capped=output.finish_reason == "length")


def open_vllm(folder: Path, generation: Generation, *, dtype: Precision = "bfloat16") -> VllmEngine:
    """Load a model into vLLM.

    Raises:
        MissingEngineError: vLLM is not installed.
        ProcessorError: The folder has no processor that takes pictures, or no chat template.
        ModelConfigError: Nothing tells which token ends an answer.
    """
    return VllmEngine(_package(), folder, generation, dtype=dtype)


def _package() -> ModuleType:
    try:
        return importlib.import_module("vllm")
    except ImportError as error:
        raise MissingEngineError(
            f"vLLM cannot be imported: {error}. Install it beside Roundhouse with `pip install "
            "vllm`, on a machine with a GPU that it knows, or take the engine 'transformers'."
        ) from error
