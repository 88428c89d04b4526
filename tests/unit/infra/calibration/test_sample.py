"""The one file of samples: exact, deterministic, whole or refused."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from infra.calibration.collect import collect
from infra.calibration.sample import CalibrationSet, Sample, digest, load, save
from infra.errors import SampleFileError
from tests.support.calibration import a_spec, write_conversations


@pytest.fixture(scope="module")
def drawn(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> CalibrationSet:
    """Return four samples with pictures."""
    path = write_conversations(tmp_path_factory.mktemp("set") / "chats", 4)
    return collect(a_spec(path, kind="image_text", seqlen=128), tiny_model)


def as_lists(sample: Sample) -> list[object]:
    """Return dtype and values of each tensor."""
    return [None if tensor is None else (tensor.dtype, tensor.tolist()) for tensor in sample]


def test_what_is_saved_is_loaded(drawn: CalibrationSet, tmp_path: Path) -> None:
    """Every tensor with its dtype, and the report, come back as they were."""
    save(drawn, tmp_path / "deep" / "set.safetensors")

    again = load(tmp_path / "deep" / "set.safetensors")

    assert drawn.report == again.report
    assert list(map(as_lists, drawn.samples)) == list(map(as_lists, again.samples))


def test_text_samples_stay_without_pictures(tmp_path: Path, drawn: CalibrationSet) -> None:
    """What a text sample does not have is not there after loading either."""
    text = tuple(Sample(sample.input_ids, None, None, None) for sample in drawn.samples)
    save(CalibrationSet(text, drawn.report), tmp_path / "set.safetensors")

    assert list(map(as_lists, text)) == list(
        map(as_lists, load(tmp_path / "set.safetensors").samples)
    )


def test_the_same_samples_give_the_same_bytes(drawn: CalibrationSet, tmp_path: Path) -> None:
    """Saving twice, and saving what was loaded, gives one and the same file."""
    paths = [tmp_path / name for name in ("a", "b", "c")]
    save(drawn, paths[0])
    save(drawn, paths[1])
    save(load(paths[0]), paths[2])

    assert len({path.read_bytes() for path in paths}) == 1


def with_first(drawn: CalibrationSet, ids: Tensor) -> tuple[Sample, ...]:
    """Return the samples with other tokens in the first."""
    return (drawn.samples[0]._replace(input_ids=ids), *drawn.samples[1:])


def test_the_digest_sees_every_difference(drawn: CalibrationSet) -> None:
    """One token, a shape, a dtype, an order, or a sample that is absent."""
    samples, ids = drawn.samples, drawn.samples[0].input_ids
    changed = ids.clone()
    changed[5] += 1
    variants = [
        samples,
        with_first(drawn, changed),
        with_first(drawn, ids[None]),
        with_first(drawn, ids.view(torch.float64)),
        samples[::-1],
        samples[:3],
    ]

    assert len(variants) == len({digest(variant) for variant in variants})
    assert drawn.report.samples_sha256 == digest(samples)


@pytest.mark.parametrize("content", [None, b"", b"not safetensors at all"])
def test_a_file_that_holds_no_samples_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """Missing, empty and foreign files are named."""
    path = tmp_path / "set.safetensors"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(SampleFileError, match=r"set\.safetensors holds no calibration samples"):
        load(path)


def test_a_file_cut_short_is_refused(drawn: CalibrationSet, tmp_path: Path) -> None:
    """A file that lacks its last bytes is not read in part."""
    path = tmp_path / "set.safetensors"
    save(drawn, path)
    path.write_bytes(path.read_bytes()[:-7])

    with pytest.raises(SampleFileError):
        load(path)


def test_other_tensors_are_refused(tmp_path: Path) -> None:
    """A checkpoint is not a set of samples."""
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(2)}, path, metadata={"format": "pt"})

    with pytest.raises(SampleFileError):
        load(path)


def test_a_file_with_a_sample_missing_is_refused(drawn: CalibrationSet, tmp_path: Path) -> None:
    """The report and the tensors must tell of the same samples."""
    path = tmp_path / "set.safetensors"
    fewer = drawn.report.model_copy(update={"nsamples": 3})
    save(CalibrationSet(drawn.samples, fewer), path)

    with pytest.raises(SampleFileError, match="16 tensors, not those of the 3 samples"):
        load(path)
