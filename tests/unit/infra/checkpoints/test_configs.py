"""The few keys that clients trust are exactly those that were tried with them."""

import json
from pathlib import Path

import pytest

from infra.checkpoints.configs import config_bytes, quantization_config, source_config
from infra.errors import AlreadyQuantizedError, InfraError, ModelConfigError


def test_auto_round_names_the_blocks_for_every_client() -> None:
    """The two names as one string: the one value that no client misreads."""
    expected = {
        "quant_method": "auto-round",
        "bits": 4,
        "group_size": 128,
        "sym": True,
        "data_type": "int",
        "packing_format": "auto_round:auto_gptq",
        "block_name_to_quantize": "model.language_model.layers,model.layers",
    }

    actual = quantization_config("auto_round", bits=4, group_size=128, sym=True)

    assert list(expected.items()) == list(actual.items())


def test_auto_gptq_spares_the_vision_tower() -> None:
    """The keys of the reference, and none that a reader would take for something else."""
    expected = {
        "quant_method": "gptq",
        "bits": 4,
        "group_size": 128,
        "sym": True,
        "desc_act": False,
        "static_groups": False,
        "true_sequential": False,
        "damp_percent": 0.01,
        "lm_head": False,
        "checkpoint_format": "gptq",
        "dynamic": {"-:.*visual.*": {}},
    }

    actual = quantization_config("auto_gptq", bits=4, group_size=128, sym=True)

    assert list(expected.items()) == list(actual.items())


def test_the_grid_is_told_as_it_is() -> None:
    """Bits, group size and symmetry are those of the run, per channel and asymmetric too."""
    for kind in ("auto_round", "auto_gptq"):
        actual = quantization_config(kind, bits=8, group_size=-1, sym=False)

        told = (actual["bits"], actual["group_size"], actual["sym"])
        assert told == (8, -1, False)


def test_a_config_keeps_its_keys_in_order(tmp_path: Path) -> None:
    """Reading and writing changes no key, no order and no number."""
    text = '{\n  "b": 1e-06,\n  "a": {\n    "ü": [\n      1000000.0\n    ]\n  }\n}\n'
    (tmp_path / "config.json").write_text(text, encoding="utf-8")

    assert text == config_bytes(source_config(tmp_path)).decode()


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ('{"quantization_config": {"bits": 4}}', AlreadyQuantizedError, "16-bit model"),
        ('{"half": ', ModelConfigError, "no JSON"),
        ("[]", ModelConfigError, "not an object"),
    ],
)
def test_a_config_that_cannot_be_used_is_refused(
    tmp_path: Path, text: str, error: type[InfraError], message: str
) -> None:
    """A model that is quantized already, and a damaged config, are named with the remedy."""
    (tmp_path / "config.json").write_text(text)

    with pytest.raises(error, match=message) as caught:
        source_config(tmp_path)

    assert str(tmp_path / "config.json") in str(caught.value)


def test_the_configs_are_json() -> None:
    """What is written parses back to what was meant."""
    config = quantization_config("auto_gptq", bits=4, group_size=32, sym=True)

    assert config == json.loads(config_bytes(config))
