"""Answers by vLLM, where it is installed: all questions in one call, those on a picture in a row.

vLLM makes its own batches and shares the tokens that prompts have in common, so there is nothing
left to do but to order them.  Its scores differ from those of transformers: models that are
compared take the same engine.
"""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from infra.errors import MissingEngineError
from infra.evaluation.engine import Answer, Generation, Request
from infra.evaluation.inputs import Prompt, open_prompter
from infra.evaluation.stopping import stop_tokens

Precision = Literal["bfloat16", "float16"]


class Vllm(NamedTuple):
    """A model that vLLM has loaded; any number of engines may use it."""

    llm: Any  # vllm.LLM
    sampling: Any  # vllm.SamplingParams, the class
    version: str
    dtype: Precision


class VllmEngine:
    """An `Engine` around a model that vLLM has loaded.

    Args:
        vllm: The model (`load_vllm`).
        folder: Its tokenizer, preprocessor, chat template and generation_config.json.
        generation: How answers are generated; vLLM chooses its own batches.

    Raises:
        ProcessorError: The folder has no processor that takes pictures, or no chat template.
        ModelConfigError: Nothing tells which token ends an answer.
    """

    def __init__(self, vllm: Vllm, folder: Path, generation: Generation) -> None:
        self._vllm = vllm
        self._generation = generation
        self._prompter = open_prompter(folder, generation)
        self._stop = stop_tokens(folder, self._prompter.processor.tokenizer)

    @property
    def identity(self) -> Mapping[str, str | int]:
        """All that decides an answer besides weights, prompt and image."""
        return {
            "engine": "vllm",
            "version": self._vllm.version,
            "dtype": self._vllm.dtype,
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
        sampling = self._vllm.sampling(
            temperature=0.0,
            max_tokens=self._generation.max_new_tokens,
            stop_token_ids=sorted(self._stop),
        )
        outputs = self._vllm.llm.generate(self._inputs(ordered), sampling, use_tqdm=False)
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


def load_vllm(folder: Path, *, dtype: Precision = "bfloat16") -> Vllm:
    """Load a model or an exported checkpoint into vLLM, which takes most of the GPU's memory.

    Args:
        folder: The model, whatever of its formats vLLM reads.
        dtype: Precision of activations, and of weights that are not quantized.

    Raises:
        MissingEngineError: vLLM is not installed.
    """
    try:
        vllm = importlib.import_module("vllm")
    except ImportError as error:
        raise MissingEngineError(
            f"vLLM cannot be imported: {error}. Install it beside Roundhouse with `pip install "
            "vllm`, on a machine with a GPU that it knows, or take the engine 'transformers'."
        ) from error
    llm = vllm.LLM(model=str(folder), dtype=dtype, seed=0, limit_mm_per_prompt={"image": 1})
    return Vllm(llm, vllm.SamplingParams, str(vllm.__version__), dtype)
