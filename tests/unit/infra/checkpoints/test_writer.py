"""Both formats hold the same tensors, bit for bit, and appear whole or not at all."""

import dataclasses
import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from infra.checkpoints import ExportPlan, Format, TensorSpec, write_checkpoints
from infra.checkpoints.plan import G_IDX_FILE
from infra.errors import ExportPlanError, NotWritableError, OutputExistsError
from infra.models.tensors import TensorIndex
from quantcore.grid import IntGrid
from quantcore.packing import PackedWeight, unpack
from quantcore.signround import round_to_nearest
from tests.support.exports import RoundedToNearest, plan_of, source_of, write_export

GRID = IntGrid()


@pytest.fixture(scope="module")
def exported(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Format, Path]:
    """Both formats of the tiny model, in shards of 400 kB."""
    return _write(tiny_model, tmp_path_factory.mktemp("export") / "out", max_shard_bytes=400_000)


class StopsInTheMiddle:
    """Rounds to nearest, but raises when the tenth Linear is asked for."""

    def __init__(self, index: TensorIndex, error: BaseException) -> None:
        self._works = RoundedToNearest(index, GRID)
        self._error = error
        self.asked = 0

    @property
    def names(self) -> frozenset[str]:
        """Those of the one that works."""
        return self._works.names

    def shapes(self, weight_name: str) -> Mapping[str, TensorSpec]:
        """Those of the one that works."""
        return self._works.shapes(weight_name)

    def __call__(self, weight_name: str) -> Mapping[str, Tensor]:
        """Work nine times."""
        self.asked += 1
        if self.asked == 10:
            raise self._error
        return self._works(weight_name)


def _write(model: Path, out_dir: Path, **changes: object) -> dict[Format, Path]:
    index = TensorIndex.open(model)
    plan = dataclasses.replace(plan_of(index, out_dir, GRID), **changes)
    return write_checkpoints(source_of(model), index, RoundedToNearest(index, GRID), plan)


def _tensors(folder: Path) -> dict[str, Tensor]:
    """Read a checkpoint as clients do: by its index, with the real library."""
    index = json.loads((folder / "model.safetensors.index.json").read_bytes())
    found = {}
    for name, file in index["weight_map"].items():
        with safe_open(folder / file, framework="pt") as shard:
            found[name] = shard.get_tensor(name)
    return found


def _bytes(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("kind", ["auto_round", "auto_gptq"])
def test_what_is_not_quantized_is_the_source_bit_for_bit(
    exported: dict[Format, Path], tiny_model: Path, kind: Format
) -> None:
    """Embeddings, norms, biases and the vision tower keep name, dtype and every bit."""
    index = TensorIndex.open(tiny_model)
    written = _tensors(exported[kind])

    kept = set(index.names) - RoundedToNearest(index, GRID).names

    parts = {name.rpartition(".")[2] for name in written.keys() - kept}
    expected = {"qweight", "qzeros", "scales", *(["g_idx"] if kind == "auto_gptq" else [])}
    assert expected == parts
    for name in kept:
        assert index.dtype(name) == written[name].dtype
        assert torch.equal(index.load(name), written[name])


@pytest.mark.parametrize("kind", ["auto_round", "auto_gptq"])
def test_the_codes_come_back(exported: dict[Format, Path], tiny_model: Path, kind: Format) -> None:
    """Unpacking each module gives the codes, scales and zeros that were handed over."""
    index = TensorIndex.open(tiny_model)
    written = _tensors(exported[kind])
    for weight in RoundedToNearest(index, GRID).names:
        module = weight.removesuffix(".weight")
        parts = (written[f"{module}.{part}"] for part in PackedWeight._fields)

        actual = unpack(PackedWeight(*parts), GRID)

        expected = round_to_nearest(weight, index.load(weight), GRID)
        assert all(torch.equal(a, b) for a, b in zip(expected, actual, strict=True))
        assert weight not in written


def test_g_idx_is_auto_gptqs_alone(exported: dict[Format, Path]) -> None:
    """It is in a file of its own, and counts up by groups."""
    round_index, gptq_index = (
        json.loads((exported[kind] / "model.safetensors.index.json").read_bytes())
        for kind in ("auto_round", "auto_gptq")
    )
    extra = gptq_index["weight_map"].keys() - round_index["weight_map"].keys()

    assert {G_IDX_FILE} == {gptq_index["weight_map"][name] for name in extra}
    assert {"g_idx"} == {name.rpartition(".")[2] for name in extra}
    assert not (exported["auto_round"] / G_IDX_FILE).exists()
    assert _tensors(exported["auto_gptq"])["model.layers.0.self_attn.q_proj.g_idx"][
        [0, 127, 128]
    ].tolist() == [0, 0, 1]


def test_shards_are_shared(exported: dict[Format, Path]) -> None:
    """The second format costs no space for the tensors it has in common with the first."""
    shards = sorted(path.name for path in exported["auto_round"].glob("model-0*"))

    assert len(shards) > 3
    assert f"model-00001-of-{len(shards):05d}.safetensors" == shards[0]
    for name in shards:
        assert (exported["auto_round"] / name).samefile(exported["auto_gptq"] / name)


@pytest.mark.parametrize("kind", ["auto_round", "auto_gptq"])
def test_the_index_counts_every_byte(exported: dict[Format, Path], kind: Format) -> None:
    """total_size is the size of all tensors, and the metadata says who can read them."""
    written = _tensors(exported[kind])
    index = json.loads((exported[kind] / "model.safetensors.index.json").read_bytes())

    assert sum(t.nbytes for t in written.values()) == index["metadata"]["total_size"]
    for path in exported[kind].glob("*.safetensors"):
        with safe_open(path, framework="pt") as shard:
            assert shard.metadata() == {"format": "pt"}


@pytest.mark.parametrize("kind", ["auto_round", "auto_gptq"])
def test_the_config_is_the_sources_and_one_key_more(
    exported: dict[Format, Path], tiny_model: Path, kind: Format
) -> None:
    """Order and dtype stay; the copy that some clients read says the same."""
    source = json.loads((tiny_model / "config.json").read_bytes())
    written = json.loads((exported[kind] / "config.json").read_bytes())
    copy = {"auto_round": "quantization_config.json", "auto_gptq": "quantize_config.json"}[kind]

    quantization = written.pop("quantization_config")

    assert list(source.items()) == list(written.items())
    assert quantization == json.loads((exported[kind] / copy).read_bytes())


@pytest.mark.parametrize("kind", ["auto_round", "auto_gptq"])
def test_the_tokenizer_is_the_sources(
    exported: dict[Format, Path], tiny_model: Path, kind: Format
) -> None:
    """Every file beside weights and configs is the source's, byte for byte."""
    names = {p.name for p in tiny_model.iterdir()} - {"config.json", "model.safetensors"}

    assert "tokenizer.json" in names
    for name in names:
        assert (tiny_model / name).read_bytes() == (exported[kind] / name).read_bytes()


@pytest.mark.parametrize("kind", ["auto_round", "auto_gptq"])
def test_sha256sum_agrees(exported: dict[Format, Path], kind: Format) -> None:
    """The real tool checks every file but the list itself."""
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],  # noqa: S607 -- wherever it is
        cwd=exported[kind],
        check=True,
        capture_output=True,
        text=True,
    )

    expected = sorted(_bytes(exported[kind]).keys() - {"SHA256SUMS"})
    assert expected == [line.removesuffix(": OK") for line in checked.stdout.splitlines()]


def test_the_provenance_is_told(exported: dict[Format, Path]) -> None:
    """Source, grid, files and what the caller adds are in roundhouse.json."""
    folder = exported["auto_gptq"]
    told = json.loads((folder / "roundhouse.json").read_bytes())

    assert told["format"] == "auto_gptq"
    assert told["quantization"] == {"bits": 4, "group_size": 128, "sym": True}
    assert told["source"] == {
        "repo_id": "example/tiny",
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "digest": "d" * 64,
    }
    assert told["provenance"] == {"recipe": {"iters": 0}, "losses": [0.5, 0.25]}
    assert _bytes(folder).keys() - {"roundhouse.json", "SHA256SUMS"} == told["files"].keys()
    for name, file in told["files"].items():
        data = (folder / name).read_bytes()
        assert file == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def test_a_loss_that_is_not_finite_is_told_as_null(tiny_model: Path, tmp_path: Path) -> None:
    """A block whose loss overflowed must not cost the export, nor make invalid JSON."""
    provenance = {"losses": [float("nan"), float("inf"), 0.5]}

    folders = _write(tiny_model, tmp_path / "out", provenance=provenance)

    told = json.loads((folders["auto_round"] / "roundhouse.json").read_bytes())
    assert told["provenance"] == {"losses": [None, None, 0.5]}


def test_the_same_input_gives_the_same_bytes(tiny_model: Path, tmp_path: Path) -> None:
    """Two exports of one model differ in no file of either format."""
    first, second = (_write(tiny_model, tmp_path / name) for name in ("first", "second"))

    for kind in ("auto_round", "auto_gptq"):
        assert _bytes(first[kind]) == _bytes(second[kind])


def test_a_sharded_source_gives_the_same_tensors(
    tiny_model: Path, tiny_sharded_model: Path, tmp_path: Path
) -> None:
    """How the source cut its weights into files does not matter to what is written."""
    one, three = (
        write_export(model, tmp_path / name, GRID)["auto_gptq"]
        for name, model in (("one", tiny_model), ("three", tiny_sharded_model))
    )

    expected, actual = _tensors(one), _tensors(three)

    assert expected.keys() == actual.keys()
    assert all(torch.equal(expected[name], actual[name]) for name in expected)


def test_one_format_alone_can_be_written(tiny_model: Path, tmp_path: Path) -> None:
    """auto_round wants no g_idx, and nothing of the other format is made."""
    folders = _write(tiny_model, tmp_path / "out", formats=("auto_round",), g_idx={})

    assert {"auto_round": tmp_path / "out" / "auto_round"} == folders
    assert [tmp_path / "out" / "auto_round"] == list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(143), MemoryError(), RuntimeError("x")]
)
def test_an_interrupt_in_the_middle_leaves_nothing(
    tiny_model: Path, tmp_path: Path, error: BaseException
) -> None:
    """Ctrl-C or an error while weights are written leaves no folder, hidden ones included."""
    index = TensorIndex.open(tiny_model)
    plan = plan_of(index, tmp_path / "out", GRID)
    replacement = StopsInTheMiddle(index, error)

    with pytest.raises(type(error)):
        write_checkpoints(source_of(tiny_model), index, replacement, plan)

    assert replacement.asked == 10
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_refused_before_any_work(tiny_model: Path, tmp_path: Path) -> None:
    """A checkpoint is never overwritten, and the refusal comes before a weight is read."""
    (tmp_path / "auto_gptq").mkdir()
    index = TensorIndex.open(tiny_model)
    replacement = StopsInTheMiddle(index, RuntimeError("x"))

    with pytest.raises(OutputExistsError, match="auto_gptq exists already"):
        write_checkpoints(source_of(tiny_model), index, replacement, plan_of(index, tmp_path, GRID))

    assert replacement.asked == 0
    assert [tmp_path / "auto_gptq"] == list(tmp_path.iterdir())


def test_an_output_below_a_file_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    """A place that cannot be written is named, for root as for anyone."""
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(NotWritableError, match="file/out"):
        _write(tiny_model, tmp_path / "file" / "out")


def test_a_missing_g_idx_is_refused_before_any_work(tiny_model: Path, tmp_path: Path) -> None:
    """The plan is checked as a whole before a folder is made."""
    with pytest.raises(ExportPlanError, match="g_idx"):
        _write(tiny_model, tmp_path / "out", g_idx={})

    assert list(tmp_path.iterdir()) == []


LIMITED = """
import resource, signal, sys
from pathlib import Path
from infra.errors import DiskFullError
from quantcore.grid import IntGrid
from tests.support.exports import write_export

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
try:
    write_export(Path(sys.argv[1]), Path(sys.argv[2]), IntGrid())
except DiskFullError as error:
    print(error)
"""


def test_a_disk_that_fills_up_leaves_nothing(tiny_model: Path, tmp_path: Path) -> None:
    """When no more can be written the error says where, and what was written goes."""
    limited = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tiny_model), str(tmp_path / "out")],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[4]), "OMP_NUM_THREADS": "1"},
    )

    assert "No room while writing" in limited.stdout
    assert "model-00001-of-00001.safetensors" in limited.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_plan_cannot_be_changed(tiny_model: Path, tmp_path: Path) -> None:
    """What was checked is what is written."""
    plan = plan_of(TensorIndex.open(tiny_model), tmp_path, GRID)

    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.bits = 8  # type: ignore[misc]

    assert isinstance(plan, ExportPlan)
