"""From the flags of `roundhouse quantize` to a recipe: one set of rules for both ways in.

The flags are the habits of those who come from other quantizers.  They are put into the form of a
recipe file and checked by the same code, so an error names the flag where a recipe's names the key.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

from flows import recipefile
from flows.errors import RecipeError
from flows.recipe import Recipe
from infra.calibration.catalog import spec_for
from infra.calibration.known import KNOWN
from infra.calibration.spec import CalibrationSpec

FLAGS = {
    "model.source": "--model",
    "model.revision": "--revision",
    "calibration[0].nsamples": "--nsamples",
    "calibration[0].seqlen": "--seqlen",
    "calibration[0].seed": "--seed",
    "calibration[0].images": "--images",
    "calibration[0]": "--calibration",
    "evaluation.text.nsamples": "--held-out-nsamples",
    "evaluation.text.source": "--held-out",
    "quantization.bits": "--bits",
    "quantization.group_size": "--group-size",
    "quantization.iters": "--iters",
    "quantization.batch_size": "--batch-size",
    "quantization.lr": "--lr",
    "quantization.seed": "--seed",
    "quantization.segments": "--segments",
    "export.output_dir": "--output-dir",
    "compute.device": "--device",
    "compute.dtype": "--dtype",
    "compute.threads": "--threads",
}


class Data(NamedTuple):
    """Which samples rounding is learned on."""

    calibration: str | None
    images: str | None
    nsamples: int
    seqlen: int


class Asked(NamedTuple):
    """What the flags of `roundhouse quantize` say."""

    model: str
    revision: str | None
    data: Data
    quantization: dict[str, Any]
    formats: str
    output_dir: Path
    compute: dict[str, Any]
    held_out: str | None
    held_out_nsamples: int


def to_recipe(asked: Asked) -> Recipe:
    """Return the recipe that the flags ask for.

    Raises:
        RecipeError: A flag's value is not what it takes; the message names the flag.
        CalibrationError: The calibration set cannot be looked into.
    """
    content: dict[str, Any] = {
        "name": _name(asked),
        "model": {"source": asked.model, "revision": asked.revision},
        "calibration": _calibration(asked),
        "quantization": asked.quantization,
        "export": {
            "formats": [name for name in re.split(r"[,\s]+", asked.formats) if name],
            "output_dir": str(asked.output_dir),
        },
        "compute": asked.compute,
        "evaluation": {
            "text": None
            if asked.held_out is None
            else held_out(asked.held_out, asked.held_out_nsamples, asked.data.seqlen)
        },
    }
    recipefile.anchor(content, Path.cwd())
    return recipefile.check(content, "roundhouse quantize", label=_flag)


def _flag(place: str) -> str:
    """Return the flag behind a key of the recipe."""
    if place.startswith("export.formats"):
        return "--format"
    return FLAGS.get(place, place)


def _name(asked: Asked) -> str:
    base = re.sub(r"[^a-z0-9._-]+", "-", Path(asked.model).name.lower()).strip("-._")
    return f"{base[:48] or 'model'}-int{asked.quantization['bits']}"


def _calibration(asked: Asked) -> list[dict[str, Any]]:
    """Return the calibration set of the flags; round-to-nearest has none."""
    data = asked.data
    if data.calibration is None:
        if asked.quantization["iters"] == 0:
            return []
        raise RecipeError(
            f"--calibration is missing, and --iters {asked.quantization['iters']} needs samples to "
            f"learn from. Give a file, a folder, a Hub id or one of {', '.join(sorted(KNOWN))}; or "
            "--iters 0 for round-to-nearest, which needs none."
        )
    seed = asked.quantization["seed"]
    spec = _spec(data.calibration, data.images) | {"nsamples": data.nsamples, "seed": seed}
    return [spec | _lengths(spec, data.seqlen)]


def held_out(location: str, nsamples: int, seqlen: int) -> dict[str, Any]:
    """Return the held-out set that a flag names, in the form of a recipe.

    Raises:
        CalibrationError: It cannot be looked into.
    """
    spec = _spec(location, None) | {"name": "held-out", "seed": 7, "nsamples": nsamples}
    return spec | _lengths(spec, seqlen)


def _spec(calibration: str, images: str | None) -> dict[str, Any]:
    """Find out what a path or a name stands for; counts are filled in, and checked, later."""
    spec: CalibrationSpec = spec_for(calibration, nsamples=1, seqlen=2048, seed=0, images=images)
    return spec.model_dump(mode="json")


def _lengths(spec: dict[str, Any], seqlen: int) -> dict[str, int]:
    """Return both lengths: a short ``seqlen`` lowers the least length with it."""
    return {"seqlen": seqlen, "min_length": max(1, min(spec["min_length"], seqlen))}
