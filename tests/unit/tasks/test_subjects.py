"""What is examined is the folder that will be published, read whole, in the asked precision."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from infra.errors import (
    MissingEngineError,
    MissingShardError,
    TokenizerDiffersError,
    UnloadableCheckpointError,
)
from infra.evaluation.engine import Generation
from infra.evaluation.transformers_engine import TransformersEngine
from infra.models.source import ModelSource
from infra.models.tensors import TensorIndex
from quantcore.grid import IntGrid
from tasks.reader import ExportedTensors, open_export
from tasks.subjects import (
    OpenSubject,
    check_tokenizers,
    is_quantized,
    learned_nothing,
    open_subject,
    tensors_of,
)
from tests.support.examining import ON_CPU, asking, rounded, subject
from tests.support.exports import write_export
from tests.support.models import replaced, rewritten, without
from tests.support.runs import LEARNED, NEAREST, World, exported, quantized

ASKED = asking(Path("tables"))
BY_CLIENT = asking(Path("tables"), loader="client")
INSIDE = "model.language_model.layers.1.self_attn.q_proj.weight"
AT_SOURCE = "model.layers.1.self_attn.q_proj.weight"


@pytest.fixture(scope="module")
def export(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the model rounded to nearest in 4 bits."""
    return rounded(world.source.path, tmp_path_factory.mktemp("export") / "out")


def at(folder: Path) -> ModelSource:
    """Return a folder as the model that it holds."""
    return ModelSource(path=folder, digest="0" * 64)


def state(opened: OpenSubject) -> dict[str, Any]:
    """Return the weights of a model in memory."""
    assert isinstance(opened.model, torch.nn.Module)
    return opened.model.state_dict()


def test_a_16_bit_model_is_loaded_as_it_is(world: World) -> None:
    """Every tensor of its file, in the asked precision, ready to answer."""
    opened = open_subject(world.source, ASKED, ON_CPU)
    source = load_file(world.source.path / "model.safetensors")

    weights = state(opened)

    assert len(weights) == len(source)
    assert torch.equal(weights[INSIDE], source[AT_SOURCE].float())
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    assert not opened.model.training


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_an_export_is_loaded_from_its_words(world: World, export: Path, dtype: torch.dtype) -> None:
    """What its kernel multiplies by, in the precision that the 16-bit model runs in, too."""
    place = ON_CPU.model_copy(update={"dtype": str(dtype).removeprefix("torch.")})

    weights = state(open_subject(at(export), ASKED, place))

    unpacked = open_export(export).load(AT_SOURCE)
    assert torch.equal(weights[INSIDE], unpacked.to(dtype))
    assert not torch.equal(unpacked, TensorIndex.open(world.source.path).load(AT_SOURCE).float())
    assert {weight.dtype for weight in weights.values()} == {dtype}


def test_both_formats_are_one_model(world: World, export: Path, tmp_path: Path) -> None:
    """They hold the same words, so either may stand for both."""
    grid = open_export(export).grid
    folders = write_export(world.source.path, tmp_path / "out", grid)

    one, other = (state(open_subject(at(folder), ASKED, ON_CPU)) for folder in folders.values())

    assert len(folders) == 2
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_16_bit_model_needs_no_kernels(world: World) -> None:
    """As a client loads it, it is the same model: so both ways take the same baseline."""
    own = state(open_subject(world.source, ASKED, ON_CPU))
    client = state(open_subject(world.source, BY_CLIENT, ON_CPU))

    assert all(torch.equal(own[name], client[name]) for name in own)


@pytest.mark.parametrize(
    ("kind", "package"), [("auto_round", "auto-round"), ("auto_gptq", "optimum and gptqmodel")]
)
def test_a_client_without_kernels_says_what_to_install(
    world: World, tmp_path: Path, kind: Any, package: str
) -> None:
    """And what to do without: this environment has none of them."""
    folder = write_export(world.source.path, tmp_path / "out", IntGrid(group_size=32))[kind]

    with pytest.raises(MissingEngineError, match="as a client loads it") as told:
        open_subject(at(folder), BY_CLIENT, ON_CPU)

    assert str(folder) in str(told.value)
    assert package in str(told.value)
    assert "leave the loader at 'own'" in str(told.value)


def test_vllm_that_is_not_installed_is_told(world: World) -> None:
    """Before any weight is read."""
    with pytest.raises(MissingEngineError, match="pip install vllm"):
        open_subject(world.source, asking(Path("tables"), engine="vllm"), ON_CPU)


@pytest.mark.parametrize("asked", [ASKED, BY_CLIENT], ids=["own", "client"])
def test_a_missing_tensor_is_told(world: World, tmp_path: Path, asked: Any) -> None:
    """Transformers would make one up, and go on."""
    folder = rewritten(world.source.path, tmp_path / "holey", weights=without(AT_SOURCE))

    with pytest.raises(UnloadableCheckpointError, match="1 tensors are missing") as told:
        open_subject(at(folder), asked, ON_CPU)

    assert INSIDE in str(told.value)
    assert f"roundhouse inspect {folder}" in str(told.value)


def test_a_tensor_of_another_shape_is_told(world: World, tmp_path: Path) -> None:
    """It would be made up as well."""
    halved = replaced(AT_SOURCE, lambda weight: weight[:, ::2])
    folder = rewritten(world.source.path, tmp_path / "halved", weights=halved)

    with pytest.raises(UnloadableCheckpointError, match=INSIDE):
        open_subject(at(folder), ASKED, ON_CPU)


def test_an_export_without_its_files_is_told(export: Path, tmp_path: Path) -> None:
    """By the name of the file."""
    folder = tmp_path / "export"
    shutil.copytree(export, folder)
    (lost,) = folder.glob("*.safetensors")
    lost.unlink()

    with pytest.raises(MissingShardError, match=lost.name):
        open_subject(at(folder), ASKED, ON_CPU)


def test_models_may_be_loaded_side_by_side(world: World, export: Path) -> None:
    """Each in its own precision, and torch's default is as it was."""
    folders = (world.source.path, export) * 3
    kinds = ("float32", "bfloat16", "bfloat16", "float32", "float32", "bfloat16")

    def load(pair: tuple[Path, str]) -> set[torch.dtype]:
        place = ON_CPU.model_copy(update={"dtype": pair[1]})
        return {w.dtype for w in state(open_subject(at(pair[0]), ASKED, place)).values()}

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(load, zip(folders, kinds, strict=True)))

    assert found == [{getattr(torch, kind)} for kind in kinds]
    assert torch.get_default_dtype() == torch.float32


def test_one_model_serves_engines_of_all_settings(world: World) -> None:
    """Weights are loaded once for all benchmarks, whatever their pictures are scaled to."""
    opened = open_subject(world.source, asking(Path("tables"), mode="batched"), ON_CPU)

    one, other = (opened.engine(Generation(max_new_tokens=n)) for n in (3, 4))

    assert isinstance(one, TransformersEngine)
    assert [engine.identity["max_new_tokens"] for engine in (one, other)] == [3, 4]
    assert [engine.identity["mode"] for engine in (one, other)] == ["batched", "batched"]


def test_packed_or_not_is_told_by_the_config(world: World, export: Path, tmp_path: Path) -> None:
    """A `quantization_config` that holds nothing is none."""
    empty = rewritten(world.source.path, tmp_path / "m", config={"quantization_config": None})

    assert [is_quantized(folder) for folder in (world.source.path, export, empty)] == [
        False,
        True,
        False,
    ]
    assert isinstance(tensors_of(at(export)), ExportedTensors)
    assert isinstance(tensors_of(world.source), TensorIndex)


def test_an_export_tells_whether_it_learned(world: World, tmp_path: Path) -> None:
    """The gate does not ask round-to-nearest to be better than itself."""
    found = []
    for name, how in (("nearest", NEAREST), ("learned", LEARNED)):
        plan = world.plan(tmp_path / "store", quantization=how)
        recipe = {"recipe": {"quantization": how.model_dump(mode="json")}}
        made = exported(plan, quantized(plan), tmp_path / name, recipe)
        found += [learned_nothing(folder) for folder in made.folders.values()]

    assert found == [True, True, False, False]


@pytest.mark.parametrize(
    "told",
    [
        None,
        "{",
        "[]",
        "{}",
        '{"provenance": null}',
        '{"provenance": {"recipe": "mine"}}',
        '{"provenance": {"recipe": {"quantization": {"iters": 200}}}}',
    ],
)
def test_a_checkpoint_that_tells_nothing_has_learned(tmp_path: Path, told: str | None) -> None:
    """Somebody else's, or a 16-bit model: nothing is excused."""
    if told is not None:
        (tmp_path / "roundhouse.json").write_text(told)

    assert learned_nothing(tmp_path) is False


def test_a_tokenizer_that_differs_is_refused(world: World, export: Path, tmp_path: Path) -> None:
    """Before anything is asked; an export that was copied right passes."""
    other = tmp_path / "other"
    shutil.copytree(export, other)
    template = next(other.glob("chat_template*"))
    text = template.read_text(encoding="utf-8")
    template.write_text(text.replace("a helpful assistant", "a pirate"), encoding="utf-8")
    baseline, sound, pirate = (
        subject(name, folder)
        for name, folder in (("16bits", world.source.path), ("sound", export), ("pirate", other))
    )

    check_tokenizers.fn(baseline, (sound,))
    with pytest.raises(TokenizerDiffersError, match="its chat template") as refusal:
        check_tokenizers.fn(baseline, (sound, pirate))

    assert str(other) in str(refusal.value)


def test_without_a_baseline_there_is_nothing_to_differ_from(export: Path) -> None:
    """Scores alone may be asked of any model."""
    check_tokenizers.fn(None, (subject("alone", export),))
