"""What a recipe can ask for is frozen, described and checked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from flows import recipefile
from flows.errors import RecipeError
from flows.recipe import Recipe
from infra.demo import MODEL_DIR
from infra.evaluation.tables import BASELINE, TASK

FIELDS = """
benchmarks benchmarks.batch_size benchmarks.engine benchmarks.fidelity_prompts
benchmarks.image_path benchmarks.limit benchmarks.loader benchmarks.max_new_tokens benchmarks.mode
benchmarks.names benchmarks.parallel benchmarks.rules benchmarks.shards benchmarks.source
calibration calibration.data_files calibration.images calibration.kind
calibration.max_image_pixels calibration.min_length calibration.name calibration.nsamples
calibration.revision calibration.seed calibration.seqlen calibration.skip_bad_rows
calibration.source calibration.split calibration.text_column
compute compute.activation_gib compute.device compute.dtype compute.threads
evaluation evaluation.text
export export.formats export.max_shard_gib export.output_dir
gate gate.alpha gate.average_margin gate.capped gate.clusters gate.flips gate.hold_minutes
gate.kl_growth gate.kl_int4 gate.task_drop gate.unreadable gate.yes_share
model model.revision model.source
name
publish publish.branch publish.endpoint publish.gptq_branch publish.gptq_repo_id publish.private
publish.repo_id publish.signing_key publish.tag publish.token
quantization quantization.batch_size quantization.bits quantization.group_size
quantization.holdout quantization.iters quantization.lr quantization.seed
quantization.seam quantization.segments quantization.symmetric
release release.pattern release.source release.staging
store store.checksums store.endpoint store.region store.uri
workers workers.pool workers.resubmits
""".split()  # noqa: SIM905 -- one line a section

CARD = ("MMBench_DEV_EN_V11", "ScienceQA_VAL", "TextVQA_VAL", "POPE")


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that an annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def fields_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    """Yield each field's path and description; evaluation.text has those of calibration."""
    for name, field in model.model_fields.items():
        yield prefix + name, field.description
        if prefix + name != "evaluation.text":
            for inner in models_in(field.annotation):
                yield from fields_of(inner, f"{prefix}{name}.")


def document_of(**changes: Any) -> dict[str, Any]:
    """Return a small sound recipe, with some of its sections exchanged."""
    text = {"name": "t", "kind": "text", "source": "t.jsonl", "nsamples": 8, "seqlen": 64}
    recipe = {
        "name": "r",
        "model": {"source": "m"},
        "calibration": [text | {"seed": 1}],
        "export": {"output_dir": "out"},
    }
    return recipe | changes


def test_a_new_knob_is_a_decision() -> None:
    """Whoever adds a field to a recipe adds it here, too."""
    assert sorted(FIELDS) == sorted(path for path, _ in fields_of(Recipe))


def test_every_field_is_described() -> None:
    """Forms and errors show the description."""
    assert [path for path, description in fields_of(Recipe) if not description] == []


def test_a_recipe_survives_json() -> None:
    """It is what Prefect stores as the parameter of a run."""
    recipe = recipefile.check(document_of(), "here")

    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_one_set_is_written_straight_into_the_output_folder() -> None:
    """`quantize --output-dir DIR` gives DIR/auto_round."""
    (variant,) = recipefile.check(document_of(), "here").variants

    assert (variant.name, variant.export.output_dir) == ("t", Path("out"))


def test_several_sets_get_a_folder_each() -> None:
    """Variants do not overwrite each other."""
    sets = [document_of()["calibration"][0] | {"name": name} for name in ("a", "b")]
    variants = recipefile.check(document_of(calibration=sets), "here").variants

    assert [v.export.output_dir for v in variants] == [Path("out/a"), Path("out/b")]


def test_round_to_nearest_is_one_variant_without_samples() -> None:
    """With iters 0 nothing is learned, so that all sets would give the same."""
    recipe = recipefile.check(document_of(quantization={"iters": 0}), "here")

    assert [(v.name, v.calibration) for v in recipe.variants] == [("rtn", None)]


def test_two_sets_of_one_name_are_refused() -> None:
    """Their variants would share a folder."""
    sets = document_of()["calibration"] * 2
    with pytest.raises(RecipeError, match="calibration names t twice"):
        recipefile.check(document_of(calibration=sets), "here")


@pytest.mark.parametrize("name", [BASELINE, TASK])
def test_a_variant_cannot_have_the_name_of_another_column(name: str) -> None:
    """It would be found out after hours, when the table of results is made."""
    text = document_of()["calibration"][0] | {"name": name}
    with pytest.raises(RecipeError, match=f"calibration is called {name}, as another column"):
        recipefile.check(document_of(calibration=[text]), "here")


def test_learning_without_samples_is_refused() -> None:
    """The message says how to go on."""
    with pytest.raises(RecipeError, match=r"iters is 1000, and no calibration .* set iters to 0"):
        recipefile.check(document_of(calibration=[]), "here")


def test_the_packaged_model_has_a_name() -> None:
    """A recipe that names it works wherever Roundhouse is installed."""
    recipe = recipefile.check(document_of(model={"source": "packaged:demo"}), "here")

    assert recipe.model.location == str(MODEL_DIR)


def test_both_formats_are_published() -> None:
    """A release is a pair; half of one is refused before anything is computed."""
    export = {"output_dir": "out", "formats": ["auto_round"]}
    with pytest.raises(RecipeError, match=r"publish needs both formats, .* only auto_round"):
        recipefile.check(document_of(publish={"repo_id": "me/model"}, export=export), "here")


@pytest.mark.parametrize(
    ("publish", "complaint"),
    [
        ({"repo_id": "model"}, "is no name of a repository: give owner/name"),
        ({"repo_id": "me/model", "tag": "main"}, "main would name two things of me/model"),
        ({"repo_id": "me/model", "gptq_repo_id": "me/model"}, "both formats would go to main"),
        ({"repo_id": "me/model", "tag": "0badc0d"}, "looks like a commit"),
        ({"repo_id": "me/model", "endpoint": "hub"}, "publish.endpoint"),
        ({"repo_id": "me/model", "token": "hf_abcdefgh"}, "publish.token"),
    ],
)
def test_a_target_that_cannot_be_is_refused(publish: dict[str, str], complaint: str) -> None:
    """Before hours of work, and with the remedy."""
    with pytest.raises(RecipeError, match=complaint):
        recipefile.check(document_of(publish=publish), "here")


def test_a_token_written_into_a_recipe_is_not_repeated() -> None:
    """Recipes are logged and stored; a token in one is refused, and the message is safe to show."""
    publish = {"repo_id": "me/model", "token": "hf_abcdefgh"}
    with pytest.raises(RecipeError) as caught:
        recipefile.check(document_of(publish=publish), "here")

    assert "hf_abcdefgh" not in str(caught.value)


def test_a_tag_pattern_that_cannot_be_is_refused() -> None:
    """A release that sets off another would never end."""
    with pytest.raises(RecipeError, match=r"release\.pattern: The tag pattern 'v\*' would match"):
        recipefile.check(document_of(release={"pattern": "v*"}), "here")


@pytest.mark.parametrize(
    ("sections", "watched"),
    [
        ({}, {}),
        ({"publish": {"repo_id": "me/int4"}}, {}),
        (
            {"publish": {"repo_id": "me/int4"}, "model": {"source": "them/model"}},
            {"them/model": "source"},
        ),
        (
            {
                "publish": {"repo_id": "me/int4"},
                "release": {"source": "them/model", "staging": "me/staging"},
            },
            {"them/model": "source", "me/staging": "staging"},
        ),
    ],
)
def test_what_is_watched(sections: dict[str, Any], watched: dict[str, str]) -> None:
    """The model's own repository, where it is on the Hub, or those that are named."""
    assert recipefile.check(document_of(**sections), "here").watched == watched


def test_the_reference_release_is_a_packaged_recipe() -> None:
    """Grid, samples, variants, formats and benchmarks are those of its card."""
    recipe = recipefile.load("qwen2-vl-7b-instruct")
    how, sets = recipe.quantization, recipe.calibration

    assert (how.bits, how.group_size, how.symmetric, how.iters) == (4, 128, True, 1000)
    assert [(s.name, s.kind, s.nsamples, s.seqlen) for s in sets] == [
        ("pile", "text", 512, 2048),
        ("llava", "image_text", 512, 2048),
    ]
    assert recipe.export.formats == ("auto_round", "auto_gptq")
    assert recipe.publish is not None
    assert recipe.watched == {"Qwen/Qwen2-VL-7B-Instruct": "source"}
    assert recipe.benchmarks is not None
    assert (recipe.benchmarks.names, recipe.benchmarks.source) == (CARD, None)
    assert recipe.benchmarks.rules == "vlmevalkit-7de2dcb"
    assert all(len(spec.revision or "") == 40 for spec in sets)


@pytest.mark.parametrize("name", recipefile.packaged())
def test_every_packaged_recipe_is_sound(name: str) -> None:
    """What we hand out can be run."""
    assert recipefile.load(name).name == name


@pytest.mark.parametrize("revision", ["main", "v1.2.0", "release/v1.0-rc.1", "refs/pr/1", "a" * 40])
def test_names_that_git_allows_are_revisions(revision: str) -> None:
    """Whether they exist is asked of the Hub, as the first step of a run."""
    model = {"source": "them/model", "revision": revision}
    assert recipefile.check(document_of(model=model), "here").model.revision == revision


@pytest.mark.parametrize(
    "revision", ["", "v1..v2", "main^", "HEAD~1", "v1 ", "/main", "main/", "a:b", "-x", "a" * 201]
)
def test_what_cannot_be_a_revision_is_refused_at_the_door(revision: str) -> None:
    """By the form already: a pattern is part of the schema that the server holds it to."""
    with pytest.raises(RecipeError, match=r"model\.revision"):
        recipefile.check(document_of(model={"source": "m", "revision": revision}), "here")


def test_a_pool_leaves_its_gpus_to_its_workers() -> None:
    """The process that hands work out sees none of them, and computes with what it has."""
    told = {"compute": {"device": "cuda"}}
    alone = Recipe.model_validate(document_of(**told))
    handing_out = Recipe.model_validate(document_of(workers={"pool": "gpu"}, **told))

    assert alone.own_compute.device == "cuda"
    assert handing_out.own_compute.device == "auto"
    assert handing_out.compute.device == "cuda"
