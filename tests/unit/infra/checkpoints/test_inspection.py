"""A sound checkpoint is called sound, and each fault is found by name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from infra.checkpoints import CheckpointReport, Format, inspect
from infra.checkpoints.modules import symmetric_zeros
from infra.errors import ModelConfigError
from quantcore.grid import IntGrid
from quantcore.packing import pack_rows
from tests.support.exports import write_export

Q_PROJ = "model.layers.1.self_attn.q_proj"
SHARD = "model-00001-of-00001.safetensors"
INDEX = "model.safetensors.index.json"

Change = Callable[[dict[str, Tensor]], object]


@pytest.fixture(scope="module")
def exported(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Format, Path]:
    """Both formats of the tiny model; copy before changing anything."""
    return write_export(tiny_model, tmp_path_factory.mktemp("export") / "out", IntGrid())


@pytest.mark.parametrize("kind", ["auto_round", "auto_gptq"])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("bits", "group_size"), [(2, 32), (3, 64), (4, 128), (4, -1), (8, 128)])
def test_what_we_write_is_sound(
    tiny_model: Path, tmp_path: Path, *, kind: Format, symmetric: bool, bits: int, group_size: int
) -> None:
    """Every grid in both formats is read back without a complaint, and told as it is."""
    grid = IntGrid(bits=bits, group_size=group_size, symmetric=symmetric)

    report = inspect(write_export(tiny_model, tmp_path, grid)[kind])

    assert report.problems == ()
    assert report.sound
    assert (kind, bits, group_size, symmetric) == (
        report.format,
        report.bits,
        report.group_size,
        report.sym,
    )


def test_the_report_counts_what_there_is(exported: dict[Format, Path]) -> None:
    """Modules, tensors, dtypes, bytes and files are those of the checkpoint."""
    folder = exported["auto_gptq"]
    tensors: dict[str, Tensor] = {}
    for path in folder.glob("*.safetensors"):
        tensors |= load_file(path)

    report = inspect(folder)

    assert report.architecture == "Qwen2VLForConditionalGeneration"
    assert report.quantized_modules == 14
    assert len(tensors) == report.tensors
    assert report.dtypes == {"bfloat16": len(tensors) - 4 * 14, "int32": 3 * 14, "float16": 14}
    assert sum(tensor.nbytes for tensor in tensors.values()) == report.tensor_bytes
    assert {p.name: p.stat().st_size for p in folder.glob("*.safetensors")} == report.files
    assert (report.files_agree, report.modules_agree, report.digests_agree) == (True, True, True)


def test_a_report_survives_json(exported: dict[Format, Path]) -> None:
    """What --json prints holds the verdict too."""
    report = inspect(exported["auto_round"])

    told = json.loads(report.model_dump_json())

    assert told.pop("sound") is True
    assert report == CheckpointReport.model_validate(told)


@pytest.mark.parametrize("fixture", ["tiny_model", "tiny_sharded_model"])
def test_a_16_bit_model_is_a_checkpoint_too(fixture: str, request: pytest.FixtureRequest) -> None:
    """In one file or in shards, it is sound and not quantized."""
    report = inspect(request.getfixturevalue(fixture))

    assert report.problems == ()
    assert (report.format, report.bits, report.quantized_modules) == ("not quantized", None, 0)
    assert report.digests_agree is None


def _change(change: Change, file: str = SHARD) -> Callable[..., None]:
    """Return what rewrites one weight file, its tensors changed."""

    def rewrite(folder: Path) -> None:
        tensors = load_file(folder / file)
        change(tensors)
        save_file(tensors, folder / file, metadata={"format": "pt"})

    return rewrite


def _config(**changes: object) -> Callable[..., None]:
    """Return what rewrites keys of the quantization config; None removes one."""

    def rewrite(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_bytes())
        merged = {**config["quantization_config"], **changes}
        config["quantization_config"] = {k: v for k, v in merged.items() if v is not None}
        (folder / "config.json").write_text(json.dumps(config))

    return rewrite


def _index(change: Callable[[dict[str, dict[str, object]]], object]) -> Callable[..., None]:
    def rewrite(folder: Path) -> None:
        index = json.loads((folder / INDEX).read_bytes())
        change(index)
        (folder / INDEX).write_text(json.dumps(index))

    return rewrite


def _truncate(folder: Path) -> None:
    data = (folder / SHARD).read_bytes()
    (folder / SHARD).write_bytes(data[:-1])


def _flip(name: str) -> Change:
    return lambda tensors: tensors.update({name: tensors[name].flip(0)})


def _set(name: str, value: Tensor) -> Change:
    return lambda tensors: tensors.update({name: value})


def _fill_first(name: str, value: float) -> Change:
    return lambda tensors: tensors[name].view(-1)[:1].fill_(value)


G_IDX = "model-g-idx.safetensors"
SCALES = torch.ones(1, 256, dtype=torch.float16)
IN_SUMS = "is in SHA256SUMS but missing"
FAULTS: dict[str, tuple[Callable[..., None], str]] = {
    "shard missing": (lambda folder: (folder / SHARD).unlink(), f"{SHARD} is in the index but"),
    "shard cut short": (_truncate, "cut short"),
    "no weights at all": (
        lambda folder: [path.unlink() for path in folder.glob("*.safetensors")],
        "there is no safetensors file",
    ),
    "tensor lost": (
        _change(lambda tensors: tensors.pop("model.norm.weight")),
        "model.norm.weight is in the index, but not in",
    ),
    "tensor too many": (_change(_set("extra", torch.ones(1))), "extra is not in the index"),
    "tensor twice": (
        lambda folder: shutil.copy(folder / SHARD, folder / "x.safetensors"),
        "is both in",
    ),
    "index wrong": (
        _index(lambda index: index["weight_map"].update({"model.norm.weight": G_IDX})),
        "but the index says model-g-idx",
    ),
    "index size": (_index(lambda index: index["metadata"].update(total_size=1)), "total_size 1,"),
    "index damaged": (lambda folder: (folder / INDEX).write_text("{"), "cannot be read"),
    "index gone": (lambda folder: (folder / INDEX).unlink(), "but no model.safetensors.index"),
    "qzeros lost": (
        _change(lambda tensors: tensors.pop(f"{Q_PROJ}.qzeros")),
        f"{Q_PROJ} is quantized, but lacks {Q_PROJ}.qzeros",
    ),
    "g_idx lost": (
        _change(lambda tensors: tensors.pop(f"{Q_PROJ}.g_idx"), G_IDX),
        f"lacks {Q_PROJ}.g_idx",
    ),
    "qweight lost": (
        _change(lambda tensors: tensors.pop(f"{Q_PROJ}.qweight")),
        f"{Q_PROJ}.scales belongs to no quantized module",
    ),
    "weight beside codes": (
        _change(_set(f"{Q_PROJ}.weight", torch.ones(2, 2))),
        "both codes and a 16-bit weight",
    ),
    "codes of floats": (
        _change(_set(f"{Q_PROJ}.qweight", torch.ones(32, 256))),
        "qweight is float32 [32, 256], not a matrix of int32",
    ),
    "scales of another shape": (
        _change(_set(f"{Q_PROJ}.scales", SCALES)),
        "scales is float16 [1, 256], but its codes want float16 [2, 256]",
    ),
    "scales of another dtype": (
        _change(_set(f"{Q_PROJ}.scales", SCALES.repeat(2, 1).bfloat16())),
        "scales is bfloat16",
    ),
    "bias of another shape": (
        _change(_set(f"{Q_PROJ}.bias", torch.ones(3))),
        "bias is float32 [3], but",
    ),
    "scale NaN": (_change(_fill_first(f"{Q_PROJ}.scales", torch.nan)), "scales has 1 of 512"),
    "scale infinite": (_change(_fill_first(f"{Q_PROJ}.scales", torch.inf)), "scales has 1 of"),
    "scale zero": (_change(_fill_first(f"{Q_PROJ}.scales", 0)), "scales has 1 of 512 that are"),
    "zero moved": (
        _change(_fill_first(f"{Q_PROJ}.qzeros", 0x77777778)),
        "qzeros are not all in the middle",
    ),
    "g_idx permuted": (
        _change(_flip(f"{Q_PROJ}.g_idx"), G_IDX),
        "g_idx does not count up by groups of 128",
    ),
    "group size wrong": (_config(group_size=96), "which groups of 96 do not divide"),
    "bits wrong": (_config(bits=8), "but its codes want"),
    "bits unknown": (_config(bits=5), "bits=5"),
    "sym absent": (_config(sym=None), "sym=None"),
    "method unknown": (_config(quant_method="awq"), "quant_method 'awq'"),
    "copy differs": (_config(desc_act=True), "quantize_config.json differs"),
    "block names": (_config(block_name_to_quantize="model.layers"), "load random weights"),
    "no dynamic": (_config(dynamic=None), "does not spare the vision tower"),
    "byte flipped": (
        lambda folder: (folder / "tokenizer.json").write_text("{}"),
        "tokenizer.json does not have the digest",
    ),
    "file lost": (
        lambda folder: (folder / "vocab.json").unlink(),
        f"vocab.json {IN_SUMS}",
    ),
    "file added": (
        lambda folder: (folder / "new.txt").write_text(""),
        "new.txt is not in SHA256SUMS",
    ),
    "sums outside": (
        lambda folder: (folder / "SHA256SUMS").write_text(f"{'0' * 64}  ../secret\n"),
        "no digest of a file in the folder",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found(exported: dict[Format, Path], tmp_path: Path, fault: str) -> None:
    """Whatever is done to a sound checkpoint, the report says so in words that name the place."""
    folder = tmp_path / "checkpoint"
    shutil.copytree(exported["auto_gptq"], folder)
    spoil, message = FAULTS[fault]
    spoil(folder)

    report = inspect(folder)

    assert not report.sound
    assert [problem for problem in report.problems if message in problem], report.problems


def test_auto_round_wants_both_block_names(exported: dict[Format, Path], tmp_path: Path) -> None:
    """With the one name alone transformers loads random weights and says nothing."""
    folder = tmp_path / "checkpoint"
    shutil.copytree(exported["auto_round"], folder)
    _config(block_name_to_quantize="model.layers")(folder)

    assert any("silently loads random weights" in text for text in inspect(folder).problems)


def test_g_idx_does_not_belong_into_auto_round(
    exported: dict[Format, Path], tmp_path: Path
) -> None:
    """A tensor of the other format shows that two exports were mixed."""
    folder = tmp_path / "checkpoint"
    shutil.copytree(exported["auto_round"], folder)
    _change(_set(f"{Q_PROJ}.g_idx", torch.zeros(256).int()))(folder)

    assert any("does not belong" in text for text in inspect(folder).problems)


def test_codes_without_a_word_in_the_config_are_found(
    exported: dict[Format, Path], tmp_path: Path
) -> None:
    """A config that lost its quantization_config makes every client load rubbish."""
    folder = tmp_path / "checkpoint"
    shutil.copytree(exported["auto_gptq"], folder)
    config = json.loads((folder / "config.json").read_bytes())
    del config["quantization_config"]
    (folder / "config.json").write_text(json.dumps(config))

    report = inspect(folder)

    assert report.format == "not quantized"
    assert any("14 modules are quantized, but" in text for text in report.problems)


def test_a_config_that_promises_codes_without_any_is_found(
    tiny_model: Path, tmp_path: Path
) -> None:
    """The other way round: 16-bit weights under a quantized config."""
    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_bytes())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4, "group_size": 128} | {
        "sym": True,
        "dynamic": {"-:.*visual.*": {}},
    }
    (folder / "config.json").write_text(json.dumps(config))

    assert any("but no module is" in text for text in inspect(folder).problems)


def test_digests_are_checked_unless_told_otherwise(
    exported: dict[Format, Path], tmp_path: Path
) -> None:
    """A quick look leaves them out and says that they are not known."""
    folder = tmp_path / "checkpoint"
    shutil.copytree(exported["auto_gptq"], folder)
    (folder / "tokenizer.json").write_text("{}")

    assert inspect(folder).digests_agree is False
    assert inspect(folder, check_digests=False).digests_agree is None


@pytest.mark.parametrize(
    ("text", "message"), [(None, "holds no config"), ("{", "no JSON"), ("[]", "not an object")]
)
def test_a_folder_that_is_no_checkpoint_is_refused(
    tmp_path: Path, text: str | None, message: str
) -> None:
    """Without a usable config there is nothing to report on."""
    if text is not None:
        (tmp_path / "config.json").write_text(text)

    with pytest.raises(ModelConfigError, match=message):
        inspect(tmp_path)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_the_middle_is_what_the_packer_writes(bits: int) -> None:
    """The row of zeros that is expected is a packed row of 2**(bits-1) - 1."""
    middle = torch.full((64, 1), 2 ** (bits - 1) - 1, dtype=torch.uint8)

    expected = pack_rows(middle, bits)[:, 0]

    assert torch.equal(expected, symmetric_zeros(bits, len(expected)))


def test_a_downloaded_release_is_as_sound_as_its_export(
    exported: dict[Format, Path], tmp_path: Path
) -> None:
    """What the Hub, a clone or a signature adds is not in the sums, and no fault."""
    folder = tmp_path / "checkpoint"
    shutil.copytree(exported["auto_round"], folder)
    for name in (".gitattributes", ".cache/huggingface/.gitignore", ".git/HEAD", "model.sig"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")

    report = inspect(folder)

    assert report.digests_agree
    assert report.problems == ()
