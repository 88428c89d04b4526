"""What would fail after hours is refused before they begin."""

from pathlib import Path

import pytest

from infra.errors import AlreadyQuantizedError, OutputExistsError, ProcessorError
from infra.models.source import ModelSource, resolve
from quantcore.errors import GroupSizeError
from tasks.preflight import look_before
from tasks.specs import ExportRequest, ExportSpec, QuantizationSpec
from tests.support.models import rewritten
from tests.support.tiny import write_tiny_qwen2_vl


@pytest.fixture
def source(tiny_model: Path) -> ModelSource:
    """Return the tiny model."""
    return resolve(str(tiny_model))


def test_the_blocks_of_a_sound_request_are_counted(source: ModelSource) -> None:
    """The flow cuts them into segments."""
    assert look_before.fn(source, QuantizationSpec(), ()) == 2


def test_a_group_size_that_does_not_divide_is_refused(tmp_path: Path) -> None:
    """Of headers alone; not one weight is read."""
    model = write_tiny_qwen2_vl(tmp_path / "narrow", hidden=64)

    with pytest.raises(GroupSizeError, match="group_size=128 does not divide in_features=64"):
        look_before.fn(resolve(str(model)), QuantizationSpec(), ())


def test_an_output_folder_that_exists_is_refused(source: ModelSource, tmp_path: Path) -> None:
    """In the first second, not after hours."""
    (tmp_path / "auto_round").mkdir()
    request = ExportRequest(export=ExportSpec(output_dir=tmp_path), provenance={"variant": "v"})

    with pytest.raises(OutputExistsError, match="auto_round exists already"):
        look_before.fn(source, QuantizationSpec(), (request,))


def test_a_quantized_model_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    """Before its missing 16-bit weights could be called damage."""
    told = {"quantization_config": {"quant_method": "gptq"}}
    model = rewritten(tiny_model, tmp_path / "model", config=told)

    with pytest.raises(AlreadyQuantizedError, match="quantized already"):
        look_before.fn(resolve(str(model)), QuantizationSpec(), ())


def test_a_model_without_its_processor_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    """Verification asks about a picture at the end; that it cannot is said at the beginning."""
    model = rewritten(tiny_model, tmp_path / "model")
    (model / "preprocessor_config.json").unlink()

    with pytest.raises(ProcessorError, match="preprocessor_config"):
        look_before.fn(resolve(str(model)), QuantizationSpec(), ())
