"""What a model folder's weights are known by, and how they are read."""

import json
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from infra.errors import (
    BadIndexError,
    CorruptShardError,
    MissingShardError,
    NoWeightsError,
    TruncatedShardError,
    UnknownTensorError,
)
from infra.models.shards import DTYPES
from infra.models.tensors import INDEX_FILE, SINGLE_FILE, TensorIndex
from tests.support.tiny import write_tiny_qwen2_vl

SHARD = "model-00002-of-00003.safetensors"


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    """Return a model in three shards that the test may damage."""
    return write_tiny_qwen2_vl(tmp_path / "model", hidden=128, shards=3)


def _write_header(path: Path, header: object, *, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def _bits(tensor: Tensor) -> bytes:
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def _same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    return list(found) == list(expected) and all(
        (found[name].dtype, found[name].shape, _bits(found[name]))
        == (tensor.dtype, tensor.shape, _bits(tensor))
        for name, tensor in expected.items()
    )


SHAPES = st.lists(st.integers(0, 4), max_size=3)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    kinds=st.lists(
        st.tuples(st.sampled_from(list(DTYPES.values())), SHAPES), min_size=1, max_size=6
    ),
    seed=st.integers(0, 2**16),
)
def test_every_tensor_is_what_safetensors_reads(
    tmp_path: Path, kinds: list[tuple[torch.dtype, list[int]]], seed: int
) -> None:
    """For every dtype and shape, empty and scalar too, each bit is what safetensors reads."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for place, (dtype, shape) in enumerate(kinds):
        blank = torch.zeros(shape, dtype=dtype)
        high = 2 if dtype is torch.bool else 256
        noise = torch.randint(0, high, (blank.nbytes,), generator=generator, dtype=torch.uint8)
        tensors[f"t{place}"] = noise.view(dtype).reshape(shape) if blank.numel() else blank
    save_file(tensors, tmp_path / SINGLE_FILE)

    index = TensorIndex.open(tmp_path)
    names = sorted(index.names)

    assert names == sorted(tensors)
    expected = load_file(tmp_path / SINGLE_FILE)
    assert _same(index.load_many(names), {name: expected[name] for name in names})
    for name in names:
        about = (index.shape(name), index.dtype(name), index.nbytes(name))
        assert about == (tensors[name].shape, tensors[name].dtype, tensors[name].nbytes)


def test_shards_give_what_a_single_file_gives(tiny_model: Path, tiny_sharded_model: Path) -> None:
    """A sharded model holds the same tensors as the same model in one file."""
    single, sharded = TensorIndex.open(tiny_model), TensorIndex.open(tiny_sharded_model)

    names = sorted(single.names)
    assert sorted(sharded.names) == names
    assert _same(sharded.load_many(names), single.load_many(names))


def test_each_tensor_is_in_the_shard_that_holds_it(tiny_sharded_model: Path) -> None:
    """`shards` and `shard_of` agree with what safetensors finds in each file."""
    index = TensorIndex.open(tiny_sharded_model)

    shards = index.shards()

    files = sorted(path.name for path in tiny_sharded_model.glob("*.safetensors"))
    assert sorted(shards) == files
    for file in files:
        assert sorted(shards[file]) == sorted(load_file(tiny_sharded_model / file))
        assert {index.shard_of(name) for name in shards[file]} == {file}
    assert tuple(name for names in shards.values() for name in names) == index.names


def test_a_loaded_tensor_belongs_to_its_caller(tiny_model: Path) -> None:
    """Writing into a loaded tensor changes neither the file nor what the next one gets."""
    index = TensorIndex.open(tiny_model)
    before = index.load("model.norm.weight").clone()

    index.load("model.norm.weight").zero_()

    assert torch.equal(index.load("model.norm.weight"), before)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Reading 128 MB tensor by tensor raises the peak of resident memory by less than 32 MB."""
    part = torch.zeros(8 << 20, dtype=torch.uint8)
    save_file({f"t{place}": part.clone() for place in range(16)}, tmp_path / SINGLE_FILE)
    script = f"""
        import resource
        from pathlib import Path
        from infra.models.tensors import TensorIndex

        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

        index = TensorIndex.open(Path({str(tmp_path)!r}))
        index.load("t0")
        before = peak()
        for name in index.names:
            index.load(name)
        print(peak() - before)
    """

    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )

    assert int(run.stdout) < 32 << 20


def test_a_tensor_that_is_not_there(tiny_model: Path) -> None:
    """The error names the tensor, the folder and the nearest names."""
    index = TensorIndex.open(tiny_model)

    with pytest.raises(UnknownTensorError) as caught:
        index.load("model.layers.0.mlp.up_proj.weigth")

    assert "'model.layers.0.mlp.up_proj.weigth'" in str(caught.value)
    assert "model.layers.0.mlp.up_proj.weight," in str(caught.value)
    assert str(tiny_model) in str(caught.value)
    assert "model.norm.weight" in index
    assert "model.norm.weigth" not in index


def test_a_folder_without_weights(sharded: Path) -> None:
    """The error says which files were looked for, and that pickles do not count."""
    for path in sharded.glob("model*"):
        path.unlink()
    (sharded / "pytorch_model.bin").write_bytes(b"\x80\x04")

    with pytest.raises(NoWeightsError) as caught:
        TensorIndex.open(sharded)

    message = str(caught.value)
    assert all(part in message for part in (str(sharded), SINGLE_FILE, INDEX_FILE))
    assert "pytorch_model.bin, but pickled weights are never read" in message


def test_a_shard_that_is_missing(sharded: Path) -> None:
    """The error names the missing file, its folder and what to do."""
    (sharded / SHARD).unlink()

    with pytest.raises(MissingShardError, match=f"There is no {SHARD} in {sharded}.*Fetch"):
        TensorIndex.open(sharded)


@pytest.mark.parametrize("keep", [0, 7, 8, 100, -1, -4096])
def test_a_shard_that_is_cut_short(sharded: Path, keep: int) -> None:
    """Wherever the cut is, the error names the file, its size and the bytes that it lacks."""
    data = (sharded / SHARD).read_bytes()[:keep]
    (sharded / SHARD).write_bytes(data)

    with pytest.raises(TruncatedShardError) as caught:
        TensorIndex.open(sharded)

    assert f"{SHARD} in {sharded} is cut short: it has {len(data)} bytes" in str(caught.value)
    if keep < 0:
        assert f"needs at least {len(data) - keep}, {-keep} more" in str(caught.value)


def test_a_shard_that_is_cut_after_opening(sharded: Path) -> None:
    """A file that shrinks while it is in use gives an error, never wrong numbers."""
    index = TensorIndex.open(sharded)
    last = index.shards()[SHARD][-1]
    data = (sharded / SHARD).read_bytes()
    (sharded / SHARD).write_bytes(data[:-1])

    with pytest.raises(TruncatedShardError, match=SHARD):
        index.load(last)


LINE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (b"not json", "its JSON"),
        (b"\xff\xfe{}", "its JSON"),
        (["a", "list"], "its JSON"),
        ({"t": {"dtype": "F32", "shape": [2]}}, "t.*Field required"),
        ({"t": LINE | {"shape": [-2]}}, "t.*greater than or equal to 0"),
        ({"t": LINE | {"shape": ["2"]}}, "t.*valid integer"),
        ({"t": {"some": "text"}}, "t has no dtype"),
        ({"t": LINE | {"dtype": "F99"}}, "t has dtype F99; known are BOOL, U8"),
        ({"t": LINE | {"shape": [3]}}, r"t is F32 \[3\], 12 bytes, but its data_offsets span 8"),
        ({"t": LINE | {"data_offsets": [8, 0]}}, "span -8"),
        ({"t": LINE | {"data_offsets": [4, 12]}}, "t leaves a gap"),
        ({"a": LINE, "b": LINE | {"data_offsets": [4, 12]}}, "b overlaps"),
    ],
)
def test_a_header_that_cannot_be_trusted(tmp_path: Path, header: object, says: str) -> None:
    """The error names the file, the tensor and what contradicts what."""
    _write_header(tmp_path / SINGLE_FILE, header, data=bytes(12))

    with pytest.raises(CorruptShardError, match=f"{SINGLE_FILE} in {tmp_path} is no .*{says}"):
        TensorIndex.open(tmp_path)


def test_bytes_after_the_last_tensor(tmp_path: Path) -> None:
    """A file that is longer than its header says is damaged as well."""
    _write_header(tmp_path / SINGLE_FILE, {"t": LINE}, data=bytes(11))

    with pytest.raises(CorruptShardError, match="3 bytes follow its last tensor"):
        TensorIndex.open(tmp_path)


def test_a_file_that_is_no_safetensors_at_all(tmp_path: Path) -> None:
    """Random bytes are refused by the length of the header they would have."""
    (tmp_path / SINGLE_FILE).write_bytes(b"\xff" * 64)

    with pytest.raises(CorruptShardError, match="its header would have"):
        TensorIndex.open(tmp_path)


def test_a_pointer_of_git_lfs(tmp_path: Path) -> None:
    """A clone without LFS leaves pointers; the error says how to fetch the weights."""
    (tmp_path / SINGLE_FILE).write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    )

    with pytest.raises(CorruptShardError, match=r"Git LFS pointer.*git lfs pull"):
        TensorIndex.open(tmp_path)


def test_an_index_that_names_a_tensor_its_shard_lacks(sharded: Path) -> None:
    """The error names the tensor and the shard: they are of two revisions."""
    path = sharded / INDEX_FILE
    index = json.loads(path.read_text())
    index["weight_map"]["model.layers.9.mlp.up_proj.weight"] = SHARD
    path.write_text(json.dumps(index))

    with pytest.raises(BadIndexError) as caught:
        TensorIndex.open(sharded)

    assert f"{SHARD} holds 'model.layers.9.mlp.up_proj.weight', but" in str(caught.value)
    assert str(sharded) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is no JSON"),
        ("[]", 'has no "weight_map"'),
        ('{"weight_map": {}}', 'has no "weight_map"'),
        ('{"weight_map": {"t": 1}}', "puts 't' into 1"),
        ('{"weight_map": {"t": "../../t.safetensors"}}', "puts 't' into '../../t.safetensors'"),
        ('{"weight_map": {"t": "t.bin"}}', "puts 't' into 't.bin'"),
    ],
)
def test_an_index_that_cannot_be_used(tmp_path: Path, content: str, says: str) -> None:
    """No JSON, no map, or a map out of the folder: the error says which."""
    (tmp_path / INDEX_FILE).write_text(content)

    with pytest.raises(BadIndexError, match=f"{INDEX_FILE} in {tmp_path} {says}"):
        TensorIndex.open(tmp_path)


def test_bytes_may_come_from_elsewhere(tiny_sharded_model: Path) -> None:
    """All bytes go through the reader that is given, and only those of the tensor are asked for."""
    reader = _Memory({path.name: path.read_bytes() for path in tiny_sharded_model.iterdir()})
    index = TensorIndex.open(Path("nowhere"), reader=reader)
    local = TensorIndex.open(tiny_sharded_model)
    reader.asked.clear()

    tensor = index.load("lm_head.weight")

    assert torch.equal(tensor, local.load("lm_head.weight"))
    assert reader.asked == [(local.shard_of("lm_head.weight"), tensor.nbytes)]


class _Memory:
    """Files in memory, which remember what was asked of them."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.asked: list[tuple[str, int]] = []

    def size(self, file: str) -> int | None:
        """Return a file's size."""
        return len(self.files[file]) if file in self.files else None

    def read_into(self, file: str, start: int, target: memoryview) -> int:
        """Copy bytes of a file."""
        self.asked.append((file, len(target)))
        part = self.files[file][start : start + len(target)]
        target[: len(part)] = part
        return len(part)

    def place(self) -> str:
        """Name this place."""
        return "memory"
