"""Our safetensors files are those of safetensors, written with the memory of one tensor."""

import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from infra.checkpoints.tensorfile import TensorSpec, write_tensors
from infra.errors import ExportPlanError, NotWritableError
from infra.models.shards import DTYPES

SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)
SPECS = st.builds(TensorSpec, st.sampled_from(list(DTYPES.values())), SHAPES)


def _specs(tensors: dict[str, Tensor]) -> dict[str, TensorSpec]:
    return {name: TensorSpec(t.dtype, tuple(t.shape)) for name, t in tensors.items()}


def _filled(spec: TensorSpec, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    data = torch.randint(0, 2, (spec.nbytes,), generator=generator, dtype=torch.uint8)
    return data.view(spec.dtype).reshape(spec.shape)


@given(
    st.dictionaries(st.text(min_size=1, max_size=6), SPECS, max_size=6),
    st.randoms(),
    st.dictionaries(st.text(), st.text(), min_size=1, max_size=1),
)
@settings(deadline=None, max_examples=60)
def test_the_bytes_are_those_of_safetensors(
    specs: dict[str, TensorSpec], order: object, metadata: dict[str, str]
) -> None:
    """Any names, dtypes and shapes, given in any order, make the file that save_file makes."""
    specs.pop("__metadata__", None)
    tensors = {name: _filled(spec, seed) for seed, (name, spec) in enumerate(specs.items())}
    given_as = list(tensors.items())
    order.shuffle(given_as)  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "ours", Path(folder) / "theirs"

        write_tensors(ours, specs, given_as, metadata)
        save_file(tensors, theirs, metadata=metadata)

        assert theirs.read_bytes() == ours.read_bytes()


def test_a_view_is_written_as_it_reads(tmp_path: Path) -> None:
    """A transposed tensor, which lies in memory otherwise, is written in its own order."""
    tensor = torch.arange(6).reshape(2, 3).t()

    write_tensors(tmp_path / "a", _specs({"x": tensor}), [("x", tensor)])

    assert torch.equal(tensor, load_file(tmp_path / "a")["x"])


def test_one_tensor_is_in_memory_at_a_time(tmp_path: Path) -> None:
    """Each tensor is let go before the next is asked for, so a shard may be of any size."""
    names = ["a", "b", "c", "d"]
    alive: list[weakref.ref[Tensor]] = []

    def tensors() -> Iterator[tuple[str, Tensor]]:
        for name in names:
            assert [ref for ref in alive if ref() is not None] == []
            tensor = torch.ones(1000)
            alive.append(weakref.ref(tensor))
            pair = (name, tensor)
            del tensor
            yield pair
            del pair

    write_tensors(
        tmp_path / "a", {name: TensorSpec(torch.float32, (1000,)) for name in names}, tensors()
    )

    assert len(alive) == len(names)


def test_a_tensor_that_never_comes_is_named(tmp_path: Path) -> None:
    """A file with a hole is refused by name."""
    specs = _specs({"here": torch.ones(2), "gone": torch.ones(2)})

    with pytest.raises(ExportPlanError, match="gone"):
        write_tensors(tmp_path / "a", specs, [("here", torch.ones(2))])


@pytest.mark.parametrize(
    ("name", "tensor"),
    [("x", torch.ones(3)), ("x", torch.ones(2).half()), ("y", torch.ones(2))],
    ids=["shape", "dtype", "name"],
)
def test_a_tensor_unlike_its_announcement_is_named(
    tmp_path: Path, name: str, tensor: Tensor
) -> None:
    """What comes must have been announced: otherwise it would overwrite its neighbour."""
    with pytest.raises(ExportPlanError, match=f"{name} came as"):
        write_tensors(tmp_path / "a", _specs({"x": torch.ones(2)}), [(name, tensor)])


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A path below a file is refused with its name."""
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(NotWritableError, match="file/a"):
        write_tensors(tmp_path / "file" / "a", {}, [])
