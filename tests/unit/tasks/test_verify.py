"""An export that is not exactly what was computed is found out, whatever is wrong with it.

Damage is done with `SHA256SUMS` away, so that it is not the digests alone that notice.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file, save_file

from infra.models.source import resolve
from quantcore.activations import Budget
from tasks.engine import OpenModel, open_model
from tasks.reader import open_export
from tasks.specs import (
    BlockRecord,
    ComputeSpec,
    ExportResult,
    FolderChecks,
    Format,
    QuantizationSpec,
    SegmentPlan,
)
from tasks.verify import _client_logits, _streamed_logits, verify_export
from tests.support.models import Weights, as_resaved, rewritten, without
from tests.support.runs import World, exported, quantized

SHARD = "model-00001-of-00001.safetensors"
INDEX = "model.safetensors.index.json"
UP, GATE = (f"model.layers.1.mlp.{part}_proj" for part in ("up", "gate"))


class Made(NamedTuple):
    """A finished run and its exports."""

    plan: SegmentPlan
    records: tuple[BlockRecord, ...]
    result: ExportResult


def make(plan: SegmentPlan, out: Path) -> Made:
    """Quantize and export."""
    records = quantized(plan)
    return Made(plan, records, exported(plan, records, out))


def checks(made: Made, folders: dict[Format, Path] | None = None) -> dict[Format, FolderChecks]:
    """Verify the exports of a run, or other folders in their place."""
    result = made.result.model_copy(update={"folders": folders or made.result.folders})
    plan = made.plan
    return verify_export.fn(
        plan.source, made.records, plan.quantization, result, plan.compute, plan.place
    ).folders


@pytest.fixture(scope="module")
def made(world: World, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Return a learned run in 4 bits; copy its folders before changing them."""
    root = tmp_path_factory.mktemp("verified")
    return make(world.plan(root / "store"), root / "out")


def spoiled(made: Made, folder: Path, change: Callable[[Path], None], kind: Format) -> FolderChecks:
    """Copy an export, take its digests away, damage it, and verify it."""
    shutil.copytree(made.result.folders[kind], folder)
    (folder / "SHA256SUMS").unlink()
    change(folder)
    return checks(made, {kind: folder})[kind]


def weights(change: Callable[[Weights], Weights]) -> Callable[[Path], None]:
    """Change the tensors of a folder, its index with them."""

    def apply(folder: Path) -> None:
        (folder / SHARD).chmod(0o644)
        changed = change(load_file(folder / SHARD))
        (folder / SHARD).unlink()
        save_file(changed, folder / SHARD, metadata={"format": "pt"})
        index = json.loads((folder / INDEX).read_text())
        other = {n: f for n, f in index["weight_map"].items() if f != SHARD}
        index["weight_map"] = other | dict.fromkeys(changed, SHARD)
        del index["metadata"]
        (folder / INDEX).write_text(json.dumps(index))

    return apply


def configs(**values: Any) -> Callable[[Path], None]:
    """Change what both papers say of the quantization."""

    def apply(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        config["quantization_config"] |= values
        (folder / "config.json").write_text(json.dumps(config))
        for name in ("quantize_config.json", "quantization_config.json"):
            if (folder / name).exists():
                (folder / name).write_text(json.dumps(config["quantization_config"]))

    return apply


def flipped(tensors: Weights) -> Weights:
    """Flip the highest bit of a single code."""
    words = tensors[f"{UP}.qweight"].clone()
    words[0, 0] ^= 8
    return {**tensors, f"{UP}.qweight": words}


def swapped(tensors: Weights) -> Weights:
    """Give two Linears of the same shape each other's scales."""
    one, two = tensors[f"{UP}.scales"], tensors[f"{GATE}.scales"]
    return {**tensors, f"{UP}.scales": two, f"{GATE}.scales": one}


@pytest.mark.parametrize(
    "asked",
    [
        {"bits": 2, "group_size": 32},
        {"bits": 3, "group_size": 64},
        {"bits": 8, "group_size": -1},
        {"bits": 4, "group_size": 128, "symmetric": False},
        {"bits": 3, "group_size": 32, "symmetric": False},
    ],
    ids=str,
)
def test_every_grid_is_sound_in_both_formats(
    world: World, tmp_path: Path, asked: dict[str, Any]
) -> None:
    """Each width, symmetric or not, comes back code for code and gives the engine's logits."""
    asked_for = QuantizationSpec.model_validate({"iters": 0, **asked})
    made = make(world.plan(tmp_path / "store", quantization=asked_for), tmp_path / "out")

    found = checks(made)

    assert list(found) == ["auto_round", "auto_gptq"]
    assert {kind: check.problems for kind, check in found.items()} == dict.fromkeys(found, ())


def test_a_learned_run_is_sound(made: Made) -> None:
    """All layers are there, no key is wrong, and text and image logits were really compared."""
    for check in checks(made).values():
        assert check.problems == ()
        assert (check.quantized_modules, check.expected_modules) == (21, 21)
        assert check.codes_equal is True
        assert check.text_logit_error is not None
        assert check.image_logit_error is not None
        assert max(check.text_logit_error, check.image_logit_error) < 1e-5


@pytest.mark.parametrize(
    ("change", "config"),
    [(as_resaved, {}), (without("lm_head.weight"), {"tie_word_embeddings": True})],
    ids=["resaved", "tied"],
)
def test_other_layouts_of_the_source_are_sound(
    world: World, tmp_path: Path, change: Callable[[Weights], Weights], config: dict[str, Any]
) -> None:
    """Re-saved names and tied embeddings come through the whole pipeline."""
    model = rewritten(world.source.path, tmp_path / "model", weights=change, config=config)
    asked = QuantizationSpec(iters=0, group_size=64)
    plan = world.plan(tmp_path / "store", quantization=asked, source=resolve(str(model)))

    found = checks(make(plan, tmp_path / "out"))

    assert [check.problems for check in found.values()] == [(), ()]


@pytest.mark.parametrize("kind", ["auto_round", "auto_gptq"])
def test_one_flipped_bit_is_found(made: Made, tmp_path: Path, kind: Format) -> None:
    """A single code that is off by its highest bit is no longer what was learned."""
    check = spoiled(made, tmp_path / "f", weights(flipped), kind)

    assert check.codes_equal is False
    assert check.faults == ()


def test_a_flipped_bit_is_found_by_its_digest_too(made: Made, tmp_path: Path) -> None:
    """With SHA256SUMS in place the file itself is named."""
    folder = Path(shutil.copytree(made.result.folders["auto_round"], tmp_path / "f"))
    data = bytearray((folder / SHARD).read_bytes())
    data[-1] ^= 1
    (folder / SHARD).write_bytes(data)

    (check,) = checks(made, {"auto_round": folder}).values()

    assert any(SHARD in fault and "SHA256SUMS" in fault for fault in check.faults)


def test_swapped_scales_are_found(made: Made, tmp_path: Path) -> None:
    """Scales are compared bit for bit like codes, and the logits tell as well."""
    check = spoiled(made, tmp_path / "f", weights(swapped), "auto_gptq")

    assert check.codes_equal is False
    assert len(check.problems) == 3  # codes, text logits, image logits


def test_a_missing_tensor_is_found(made: Made, tmp_path: Path) -> None:
    """What transformers would make up is named."""
    check = spoiled(made, tmp_path / "f", weights(without("model.norm.weight")), "auto_round")

    assert check.missing_keys == ("model.language_model.norm.weight",)
    assert check.text_logit_error is None


def test_a_missing_part_of_a_linear_is_found(made: Made, tmp_path: Path) -> None:
    """A Linear without its scales cannot be read, and the folder is not sound."""
    check = spoiled(made, tmp_path / "f", weights(without(f"{UP}.scales")), "auto_round")

    assert check.codes_equal is None
    assert any(f"lacks {UP}.scales" in problem for problem in check.problems)


def test_a_renamed_tensor_is_found(made: Made, tmp_path: Path) -> None:
    """It is missing under one name and unexpected under the other."""

    def rename(tensors: Weights) -> Weights:
        return {n.replace("visual.merger.ln_q", "visual.merger.ln"): t for n, t in tensors.items()}

    check = spoiled(made, tmp_path / "f", weights(rename), "auto_gptq")

    assert check.missing_keys == tuple(f"model.visual.merger.ln_q.{p}" for p in ("bias", "weight"))
    assert check.unexpected_keys == tuple(
        f"model.visual.merger.ln.{part}" for part in ("bias", "weight")
    )


def test_an_altered_vision_tensor_is_found(made: Made, tmp_path: Path) -> None:
    """It is not the source's, and the image logits move while those of the text do not."""
    name = "visual.blocks.1.mlp.fc1.weight"
    check = spoiled(
        made, tmp_path / "f", weights(lambda w: {**w, name: w[name] * 1.25}), "auto_round"
    )

    assert check.faults == (f"{name} is not the tensor of the source",)
    assert check.text_logit_error is not None
    assert check.text_logit_error <= check.logit_tolerance
    assert check.image_logit_error is not None
    assert check.image_logit_error > check.logit_tolerance


def test_a_change_too_small_for_logits_is_found(made: Made, tmp_path: Path) -> None:
    """The last bit of one embedding that no prompt uses is compared like all others."""
    name = "model.embed_tokens.weight"

    def nudge(tensors: Weights) -> Weights:
        words = tensors[name].clone().view(torch.int16)
        words[-1, -1] ^= 1
        return {**tensors, name: words.view(torch.bfloat16)}

    check = spoiled(made, tmp_path / "f", weights(nudge), "auto_gptq")

    assert check.problems == (f"{name} is not the tensor of the source",)


@pytest.mark.parametrize(
    "told", [{"bits": 8}, {"group_size": 32}, {"sym": False}, {"bits": 5}], ids=str
)
@pytest.mark.parametrize("kind", ["auto_round", "auto_gptq"])
def test_a_wrong_config_is_found(
    made: Made, tmp_path: Path, kind: Format, told: dict[str, Any]
) -> None:
    """A config that describes another grid is a problem in words, and never a traceback."""
    check = spoiled(made, tmp_path / "f", configs(**told), kind)

    assert any("the codes were learned for bits=4, group_size=64" in p for p in check.problems)


def test_a_config_without_quantization_is_found(made: Made, tmp_path: Path) -> None:
    """Clients would take such a folder for a 16-bit model."""

    def forget(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        del config["quantization_config"]
        (folder / "config.json").write_text(json.dumps(config))

    assert spoiled(made, tmp_path / "f", forget, "auto_gptq").problems != ()


def test_a_wrong_group_index_is_found(made: Made, tmp_path: Path) -> None:
    """g_idx is read by some clients alone, so it is checked by itself."""

    def shift(folder: Path) -> None:
        path = folder / "model-g-idx.safetensors"
        tensors = load_file(path)
        tensors[f"{UP}.g_idx"] = tensors[f"{UP}.g_idx"].flip(0).contiguous()
        path.unlink()
        save_file(tensors, path, metadata={"format": "pt"})

    check = spoiled(made, tmp_path / "f", shift, "auto_gptq")

    assert any(f"{UP}.g_idx does not count up" in problem for problem in check.problems)


def test_a_changed_tokenizer_is_found(made: Made, tmp_path: Path) -> None:
    """Prompts go through the export's own files: other tokens cannot give the same logits."""

    def shout(folder: Path) -> None:
        page = json.loads((folder / "chat_template.json").read_text())
        page["chat_template"] = page["chat_template"].replace("helpful", "helpless")
        (folder / "chat_template.json").write_text(json.dumps(page))
        config = json.loads((folder / "tokenizer_config.json").read_text())
        config["chat_template"] = page["chat_template"]
        (folder / "tokenizer_config.json").write_text(json.dumps(config))

    check = spoiled(made, tmp_path / "f", shout, "auto_round")

    assert check.codes_equal is True
    assert len(check.problems) == 2  # text and image logits


def test_large_models_are_streamed_to_the_same_logits(made: Made, tmp_path: Path) -> None:
    """Above 2 GiB no client is loaded whole; block by block the logits are the client's."""
    folder = made.result.folders["auto_gptq"]
    engine = open_model(made.plan.source.path, ComputeSpec(device="cpu"))
    export = OpenModel(open_export(folder), engine.family, engine.place)
    budget = Budget(bytes=2**30, scratch=tmp_path)

    pairs = zip(
        _streamed_logits(folder, export, budget),
        _client_logits(folder, export, budget),
        strict=True,
    )

    assert max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs) < 1e-5
