"""Both exports of the demo model, loaded by the clients that people load checkpoints with.

Three ways lead to a running model: auto-round reads `auto_round`; optimum with gptqmodel reads
`auto_gptq`; auto-round reads `auto_gptq` too when it is told so.  A wrong name in a checkpoint is
only a warning to all of them, and the model then talks from random weights.  So keys are counted,
and logits compared with those of the plain weights that the files stand for.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoRoundConfig,
    PreTrainedModel,
    ProcessorMixin,
)

from infra.demo import MODEL_DIR
from infra.demo.datasets import write_conversation_set
from tests.peers.dequantized import (
    load_dequantized,
    load_plain,
    quantized_linears,
    read_config,
    read_tensors,
)

LINEARS_A_BLOCK = 7  # q, k, v, o, gate, up, down


@dataclass(frozen=True, slots=True)
class Precision:
    """How near a client must come to the plain model in float32.

    The error is the norm of the difference of logits over their norm; two logits nearer than
    `near_tie` may change places.  What was measured on the demo model stands at each.
    """

    error: float
    near_tie: float


EXACT = Precision(1e-5, 1e-3)  # 4e-7, logits moved by 1e-5: the order of sums
HALVED = Precision(1e-3, 0.02)  # 1e-4 and 0.004: weights rounded to float16 on the way
ROUGH = Precision(0.02, 0.5)  # 0.005 and 0.2: no more than the plain model run in bfloat16
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}  # the second is what checkpoints ask for
NEW_TOKENS = 8


@dataclass(frozen=True, slots=True)
class Client:
    """One way to load a checkpoint."""

    folder: str
    by_auto_round: bool  # say so with `AutoRoundConfig()` whatever the checkpoint says
    kernels: tuple[str, ...]  # packages that its quantized layers may come from
    in_float32: Precision
    ignores_order: bool = False  # leaves `g_idx` unread: groups are in order, as ours always are

    def precision(self, dtype: torch.dtype) -> Precision:
        """Return what can be expected; kernels for AVX512 multiply in bfloat16 in any case."""
        exact = dtype == torch.float32 and torch.backends.cpu.get_cpu_capability() != "AVX512"
        return self.in_float32 if exact else ROUGH

    @property
    def options(self) -> dict[str, Any]:
        """Return what `from_pretrained` is told."""
        return {"quantization_config": AutoRoundConfig()} if self.by_auto_round else {}


AUTO_ROUND = ("auto_round_kernel", "auto_round_extension")
CLIENTS = {
    "auto_round": Client("auto_round", by_auto_round=False, kernels=AUTO_ROUND, in_float32=EXACT),
    "gptqmodel": Client(
        "auto_gptq", by_auto_round=False, kernels=("gptqmodel",), in_float32=HALVED
    ),
    "auto_gptq by auto_round": Client(
        "auto_gptq",
        by_auto_round=True,
        kernels=AUTO_ROUND,
        in_float32=EXACT,
        ignores_order=True,
    ),
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a client made of a checkpoint."""

    client: Client
    model: PreTrainedModel
    precision: Precision
    info: Mapping[str, Any]


@pytest.fixture(scope="session")
def exports(request: pytest.FixtureRequest) -> Path:
    """Return the folder that holds `auto_round/` and `auto_gptq/`."""
    folder: Path | None = request.config.getoption("--exports")
    if folder is None:
        pytest.fail("Say --exports DIR, made by `roundhouse quantize` (as `make test-peers` does).")
    return folder


@pytest.fixture(scope="session")
def source() -> PreTrainedModel:
    """Return the 16-bit demo model."""
    return load_plain(MODEL_DIR)


@pytest.fixture(scope="session")
def ours(exports: Path, tmp_path_factory: pytest.TempPathFactory) -> PreTrainedModel:
    """Return the plain model that the exports stand for."""
    return load_dequantized(exports / "auto_round", tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module", params=DTYPES.values(), ids=DTYPES.keys())
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    """Return what the client is asked to compute in."""
    return request.param


@pytest.fixture(scope="module", params=CLIENTS.values(), ids=CLIENTS.keys())
def loaded(request: pytest.FixtureRequest, exports: Path, dtype: torch.dtype) -> Loaded:
    """Return one export, loaded by one client."""
    client: Client = request.param
    model, info = AutoModelForImageTextToText.from_pretrained(
        exports / client.folder, dtype=dtype, output_loading_info=True, **client.options
    )
    return Loaded(client, model.eval(), client.precision(dtype), info)


@pytest.fixture(scope="session")
def prompts(exports: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return a text and an image prompt, made by the processor that the export itself carries."""
    processor = AutoProcessor.from_pretrained(exports / "auto_gptq")
    listing = write_conversation_set(tmp_path_factory.mktemp("asked"), count=1, seed=3)
    asked = json.loads(listing.read_text(encoding="utf-8"))[0]
    question = asked["conversations"][0]["value"].removeprefix("<image>\n")
    story = {"type": "text", "text": "Tell me about the river and the lamp."}
    with Image.open(listing.parent / asked["image"]) as picture:
        seen = _prompt(processor, [{"type": "image"}, {"type": "text", "text": question}], picture)
    return {"text": _prompt(processor, [story], None), "image": seen}


def _prompt(
    processor: ProcessorMixin, content: list[dict[str, str]], picture: Image.Image | None
) -> Any:
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    images = None if picture is None else [picture]
    return processor(text=[text], images=images, return_tensors="pt")


@torch.no_grad()
def logits_of(model: PreTrainedModel, prompt: Any) -> Tensor:
    """Return the logits ``[T, V]`` of one prompt, in float32."""
    return model(**prompt).logits[0].float()


def relative_error(expected: Tensor, actual: Tensor) -> float:
    """Return the norm of the difference over the norm of what was expected."""
    return float((expected - actual).norm() / expected.norm())


def modules_of_kernels(model: nn.Module, kernels: tuple[str, ...]) -> set[str]:
    """Return the names of the modules whose class comes from one of these packages."""
    return {
        name
        for name, module in model.named_modules()
        if type(module).__module__.partition(".")[0] in kernels
    }


def test_both_exports_hold_the_same_words(exports: Path) -> None:
    """The formats differ in `g_idx` alone, so what one client shows is true of the other's file."""
    one, other = read_tensors(exports / "auto_round"), read_tensors(exports / "auto_gptq")

    assert {f"{name}.g_idx" for name in quantized_linears(one)} == other.keys() - one.keys()
    assert one.keys() <= other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_every_key_finds_its_place(loaded: Loaded) -> None:
    """Nothing is missing, left over or of another shape, but `g_idx` where a client ignores it."""
    unexpected = set(loaded.info["unexpected_keys"])
    if loaded.client.ignores_order:
        unexpected = {name for name in unexpected if not name.endswith(".g_idx")}

    assert (set(), set(), set()) == (
        set(loaded.info["missing_keys"]),
        unexpected,
        set(loaded.info["mismatched_keys"]),
    )


def test_the_language_model_is_quantized_and_nothing_else(loaded: Loaded) -> None:
    """Seven layers of each block run on the client's kernel; the vision tower stays plain."""
    blocks = read_config(MODEL_DIR)["num_hidden_layers"]

    quantized = modules_of_kernels(loaded.model, loaded.client.kernels)

    assert LINEARS_A_BLOCK * blocks == len(quantized)
    assert all(name.startswith("model.language_model.layers.") for name in quantized)
    assert not [name for name in quantized if "visual" in name]


@pytest.mark.parametrize("kind", ["text", "image"])
def test_logits_are_those_of_our_own_weights(
    loaded: Loaded,
    ours: PreTrainedModel,
    source: PreTrainedModel,
    prompts: dict[str, Any],
    kind: str,
) -> None:
    """The client computes what the files stand for, which is not what the 16-bit model says."""
    expected = logits_of(ours, prompts[kind])
    rounding = relative_error(logits_of(source, prompts[kind]), expected)

    error = relative_error(expected, logits_of(loaded.model, prompts[kind]))

    assert error < loaded.precision.error
    assert error < rounding / 3


def test_an_image_prompt_is_answered_as_we_would(
    loaded: Loaded, ours: PreTrainedModel, prompts: dict[str, Any]
) -> None:
    """Generation runs, and its tokens are ours until our own first two choices all but tie."""
    prompt = prompts["image"]
    asked = prompt["input_ids"].shape[1]
    how = {"max_new_tokens": NEW_TOKENS, "do_sample": False}
    expected = ours.generate(**prompt, **how, output_logits=True, return_dict_in_generate=True)

    answer = loaded.model.generate(**prompt, **how)[0, asked:].tolist()

    assert answer
    for step, (logits, token) in enumerate(
        zip(expected.logits, expected.sequences[0, asked:].tolist(), strict=True)
    ):
        first, second = logits[0].float().topk(2).values.tolist()
        if first - second < loaded.precision.near_tie:
            break
        assert token == answer[step]
