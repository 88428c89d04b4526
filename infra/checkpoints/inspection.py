"""Look into a checkpoint: what it holds, and whether a client could trust it.

Every client's failure on a wrong name or key is silent, so each fault that is known to end in
silent garbage is looked for here, from headers wherever headers tell.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, computed_field

from infra.checkpoints.configs import BLOCK_NAMES, COPY_OF_CONFIG, KEY
from infra.checkpoints.contents import Contents, digest_problems, read_contents
from infra.checkpoints.modules import Scheme, module_problems, quantized_modules, stray_problems
from infra.checkpoints.plan import Format
from infra.checkpoints.sidefiles import SUMS
from infra.files import explaining
from infra.models.shards import TensorPlace
from infra.models.source import CONFIG_FILE, read_config

_METHODS: Mapping[str, Format] = {"auto-round": "auto_round", "gptq": "auto_gptq"}
_WIDTHS = (2, 3, 4, 8)


class CheckpointReport(BaseModel):
    """What a checkpoint holds and what is wrong with it."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    format: Format | Literal["not quantized"]
    bits: int | None
    group_size: int | None
    sym: bool | None
    architecture: str
    quantized_modules: int
    tensors: int
    dtypes: dict[str, int]  # tensors of each dtype
    tensor_bytes: int
    files: dict[str, int]  # bytes of each safetensors file
    files_agree: bool  # index, shards and headers with each other
    modules_agree: bool  # every quantized module whole, well formed, with sane values
    digests_agree: bool | None  # None: no SHA256SUMS, or not asked to check
    problems: tuple[str, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def inspect(folder: Path, *, check_digests: bool = True) -> CheckpointReport:
    """Report what the checkpoint in ``folder`` holds; 16-bit models are checkpoints too.

    Args:
        folder: A model folder.
        check_digests: Read every byte to compare it with ``SHA256SUMS``, where there is one.

    Raises:
        ModelConfigError: The folder does not exist or has no usable ``config.json``.
        StorageError: A file cannot be read.
    """
    config = read_config(folder)
    with explaining(folder, "reading"):
        contents = read_contents(folder)
        sums = (folder / SUMS).is_file() and check_digests
        digests = tuple(digest_problems(folder)) if sums else ()
        files = {path.name: path.stat().st_size for path in sorted(folder.glob("*.safetensors"))}
    quantization = config.get(KEY)
    scheme, unclear = _scheme(quantization)
    unwise = tuple(_config_problems(folder, quantization, contents.tensors))
    modules = tuple(_module_problems(contents, scheme))
    places = contents.tensors.values()
    return CheckpointReport(
        folder=folder,
        format=_METHODS.get(_method(quantization), "not quantized"),
        bits=scheme.bits if scheme else None,
        group_size=scheme.group_size if scheme else None,
        sym=scheme.sym if scheme else None,
        architecture=_architecture(config),
        quantized_modules=len(quantized_modules(contents.tensors)),
        tensors=len(places),
        dtypes=dict(Counter(str(place.dtype).removeprefix("torch.") for place in places)),
        tensor_bytes=sum(place.nbytes for place in places),
        files=files,
        files_agree=not contents.problems,
        modules_agree=not modules,
        digests_agree=not digests if sums else None,
        problems=(*contents.problems, *unclear, *unwise, *modules, *digests),
    )


def _method(quantization: object) -> str:
    return str(quantization.get("quant_method")) if isinstance(quantization, dict) else ""


def _architecture(config: dict[str, Any]) -> str:
    named = config.get("architectures")
    return str(named[0]) if isinstance(named, list) and named else str(config.get("model_type"))


def _scheme(quantization: object) -> tuple[Scheme | None, tuple[str, ...]]:
    """Return what the config says of the modules, or why it says nothing."""
    if quantization is None:
        return None, ()
    if not isinstance(quantization, dict) or _method(quantization) not in _METHODS:
        method = _method(quantization)
        return None, (f"{CONFIG_FILE} says quant_method {method!r}; known are {sorted(_METHODS)}",)
    bits, group_size, sym = (quantization.get(key) for key in ("bits", "group_size", "sym"))
    if (
        bits not in _WIDTHS
        or not isinstance(group_size, int)
        or not (group_size == -1 or group_size > 0)
        or not isinstance(sym, bool)
    ):
        told = f"bits={bits!r}, group_size={group_size!r}, sym={sym!r}"
        return None, (f"{CONFIG_FILE} says {told}, and no kernel here knows what to make of it",)
    wants_g_idx = _METHODS[_method(quantization)] == "auto_gptq"
    return Scheme(bits, group_size, sym, wants_g_idx), ()


def _module_problems(contents: Contents, scheme: Scheme | None) -> Iterator[str]:
    modules = quantized_modules(contents.tensors)
    yield from stray_problems(contents.tensors)
    if scheme is None:
        if modules:
            yield f"{len(modules)} modules are quantized, but {CONFIG_FILE} does not say how"
        return
    if not modules:
        yield f"{CONFIG_FILE} says that the model is quantized, but no module is"
    for module in modules:
        yield from module_problems(module, contents, scheme)


def _config_problems(
    folder: Path, quantization: object, tensors: Mapping[str, TensorPlace]
) -> Iterator[str]:
    """Tell of keys that some client is known to answer with silent garbage."""
    kind = _METHODS.get(_method(quantization))
    if kind is None or not isinstance(quantization, dict):
        return
    copy = folder / COPY_OF_CONFIG[kind]
    if copy.is_file() and _parsed(copy) != quantization:
        yield f"{copy.name} differs from the {KEY} of {CONFIG_FILE}"
    sees = any(name.startswith(("visual.", "model.visual.")) for name in tensors)
    blocks = quantization.get("block_name_to_quantize")
    if kind == "auto_round" and sees and blocks != BLOCK_NAMES:
        yield (
            f"block_name_to_quantize is {blocks!r}; with anything but {BLOCK_NAMES!r} some client "
            "silently loads random weights or replaces the vision tower"
        )
    if kind == "auto_gptq" and blocks is not None:
        yield "block_name_to_quantize makes transformers 4.52 and later load random weights"
    if kind == "auto_gptq" and sees and "-:.*visual.*" not in str(quantization.get("dynamic")):
        yield "dynamic does not spare the vision tower, which SGLang then takes for quantized"


def _parsed(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None
