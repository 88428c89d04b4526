"""The spec refuses what no set could satisfy, before any file is opened."""

import pytest
from pydantic import ValidationError

from infra.calibration.spec import CalibrationSpec
from tests.support.calibration import a_spec


def test_every_field_is_described() -> None:
    """A recipe's author can read what each field means."""
    fields = CalibrationSpec.model_fields

    assert [name for name, field in fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nsamples", 0),
        ("nsamples", -3),
        ("seqlen", 1),
        ("seed", -1),
        ("kind", "audio"),
        ("name", "../up"),
        ("name", ""),
        ("revision", ""),
        ("nsample", 8),
        ("data_files", ("../secret.json",)),
        ("data_files", ("/etc/rows.json",)),
        ("data_files", ("https://example.org/rows.json",)),
        ("data_files", ("",)),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(field: str, value: object) -> None:
    """The message names the field, so that a recipe can be mended."""
    values = a_spec("rows.jsonl").model_dump() | {field: value}

    with pytest.raises(ValidationError, match=field):
        CalibrationSpec.model_validate(values)


def test_a_minimum_above_the_length_is_refused() -> None:
    """No sample of 16 tokens can have 32."""
    with pytest.raises(ValidationError, match="min_length=32 is more than seqlen=16"):
        a_spec("rows.json", kind="image_text", seqlen=16)


def test_text_has_no_minimum() -> None:
    """Text samples are exactly seqlen long, however short that is."""
    assert a_spec("rows.jsonl", seqlen=4).seqlen == 4
