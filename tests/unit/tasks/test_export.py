"""Both formats come from the stored codes, whole or not at all, and twice to the same byte."""

import json
import shutil
from pathlib import Path

import pytest
from torch import Tensor

from infra.errors import CorruptArtifactError, OutputExistsError
from infra.models.source import resolve
from infra.store import open_store
from quantcore.errors import PackingError
from tasks.codes import read_one
from tasks.export import export_checkpoint
from tasks.reader import open_export
from tasks.specs import ExportSpec, QuantizationSpec
from tests.support.models import rewritten
from tests.support.runs import NEAREST, World, exported, files_of, quantized

ODD = 152  # columns of 2-bit zeros: nine and a half words
SIDE_FILES = {
    "chat_template.json",
    "generation_config.json",
    "merges.txt",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
}


def test_a_run_done_twice_gives_the_same_bytes(world: World, tmp_path: Path) -> None:
    """Another store, another place of the model, another output folder: every file is the same."""
    model = Path(shutil.copytree(world.source.path, tmp_path / "moved"))
    folders = []
    for name, source in (("one", world.source), ("two", resolve(str(model)))):
        plan = world.plan(tmp_path / name / "store", source=source)
        records = quantized(plan)
        exported(
            plan, records, tmp_path / name / "out", {"losses": [r.loss_after for r in records]}
        )
        folders.append(files_of(tmp_path / name / "out"))

    assert folders[0] == folders[1]
    assert {name.split("/")[0] for name in folders[0]} == {"auto_round", "auto_gptq"}


def test_a_missing_format_is_written_as_if_both_were(world: World, tmp_path: Path) -> None:
    """What was killed between the two formats is completed to the byte."""
    plan = world.plan(tmp_path / "store", quantization=NEAREST)
    records = quantized(plan)
    exported(plan, records, tmp_path / "out")
    whole = files_of(tmp_path / "out")
    for kind in ("auto_gptq", "auto_round"):
        shutil.rmtree(tmp_path / "out" / kind)
        export = ExportSpec(output_dir=tmp_path / "out", formats=(kind,))

        export_checkpoint.fn(plan.source, records, NEAREST, export, {"variant": "test"}, plan.place)

        assert files_of(tmp_path / "out") == whole


def test_side_files_are_copied_byte_for_byte(world: World, tmp_path: Path) -> None:
    """Tokenizer, preprocessor and templates are the source's own, in both formats."""
    plan = world.plan(tmp_path / "store", quantization=NEAREST)
    result = exported(plan, quantized(plan), tmp_path / "out")
    source = files_of(world.source.path)

    for folder in result.folders.values():
        written = files_of(folder)
        assert {name: written[name] for name in SIDE_FILES} == {n: source[n] for n in SIDE_FILES}


def test_provenance_tells_what_it_was_told(world: World, tmp_path: Path) -> None:
    """roundhouse.json holds the source, each block's losses, and every file with its digest."""
    plan = world.plan(tmp_path / "store")
    records = quantized(plan)
    told = {"blocks": [{"block": r.block, "loss_after": r.loss_after} for r in records]}

    result = exported(plan, records, tmp_path / "out", told)

    for kind, folder in result.folders.items():
        page = json.loads((folder / "roundhouse.json").read_bytes())
        assert page["provenance"] == {"variant": "test", **told}
        assert (page["format"], page["source"]["digest"]) == (kind, world.source.digest)
        assert page["files"].keys() == files_of(folder).keys() - {"roundhouse.json", "SHA256SUMS"}


def test_what_is_packed_are_the_stored_codes(world: World, tmp_path: Path) -> None:
    """Each Linear unpacks to the codes, scales and zeros that its block left in the store."""
    asked = QuantizationSpec(iters=0, bits=3, group_size=32, symmetric=False)
    plan = world.plan(tmp_path / "store", quantization=asked)
    records = quantized(plan)
    result = exported(plan, records, tmp_path / "out")
    tensors = open_export(result.folders["auto_round"])
    paths = [open_store(plan.place).open(record.ref) for record in records]

    assert len(tensors.modules) == 7 * len(records)
    for module in tensors.modules:
        stored = read_one(paths[int(module.split(".")[2])], f"{module}.weight")
        for read, kept in zip(tensors.codes(module), stored, strict=True):
            assert read.tolist() == kept.tolist()


def test_the_size_counts_shared_files_once(world: World, tmp_path: Path) -> None:
    """The second format costs its g_idx and papers, not another set of weights."""
    plan = world.plan(tmp_path / "store", quantization=NEAREST)
    result = exported(plan, quantized(plan), tmp_path / "out")
    weights = (result.folders["auto_round"] / "model-00001-of-00001.safetensors").stat().st_size
    everything = sum(len(content) for content in files_of(tmp_path / "out").values())

    assert result.bytes == everything - weights


def test_an_existing_folder_is_left_alone(world: World, tmp_path: Path) -> None:
    """Nothing is overwritten, and the other format is not written either."""
    plan = world.plan(tmp_path / "store", quantization=NEAREST)
    records = quantized(plan)
    (tmp_path / "out" / "auto_gptq").mkdir(parents=True)

    with pytest.raises(OutputExistsError):
        exported(plan, records, tmp_path / "out")

    assert files_of(tmp_path / "out") == {}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["auto_gptq"]


def test_damaged_codes_are_never_exported(world: World, tmp_path: Path) -> None:
    """The store's digest stands between a flipped bit and a release."""
    plan = world.plan(tmp_path / "store", quantization=NEAREST)
    records = quantized(plan)
    path = open_store(plan.place).open(records[1].ref)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()
    path.write_bytes(content)

    with pytest.raises(CorruptArtifactError, match=records[1].ref.sha256):
        exported(plan, records, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_a_width_that_fills_no_words_is_refused(world: World, tmp_path: Path) -> None:
    """Outputs that leave a 32-bit word half full cannot be packed; nothing is left behind."""
    folder = rewritten(
        world.source.path,
        tmp_path / "model",
        weights=lambda weights: {name: _narrowed(name, t) for name, t in weights.items()},
        config={"intermediate_size": ODD},
    )
    asked = QuantizationSpec(iters=0, bits=2, group_size=-1)
    plan = world.plan(tmp_path / "store", quantization=asked, source=resolve(str(folder)))

    with pytest.raises(PackingError, match=str(ODD)):
        exported(plan, quantized(plan), tmp_path / "out")

    assert files_of(tmp_path / "out") == {}


def test_one_format_alone(world: World, tmp_path: Path) -> None:
    """What is not asked for is not written."""
    plan = world.plan(tmp_path / "store", quantization=NEAREST)
    only = ExportSpec(output_dir=tmp_path / "out", formats=("auto_gptq",))

    result = export_checkpoint.fn(
        plan.source, quantized(plan), NEAREST, only, {"variant": "test"}, plan.place
    )

    assert list(result.folders) == ["auto_gptq"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["auto_gptq"]


def _narrowed(name: str, tensor: Tensor) -> Tensor:
    """Cut the inner width of an MLP."""
    if not name.startswith("model.layers.") or ".mlp." not in name:
        return tensor
    return (tensor[:, :ODD] if "down_proj" in name else tensor[:ODD]).contiguous()
