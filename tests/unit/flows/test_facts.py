"""A release tells what was measured: every number from a result, a recipe, or the export itself."""

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from flows import recipefile
from flows.facts import environment, promoted_facts, release_facts
from flows.recipe import Recipe
from flows.results import Approval, RunResult, VariantResult
from infra.calibration.report import CalibrationReport, Origin, SourceFile
from infra.card.facts import as_json, read_facts
from infra.models.source import ModelSource
from infra.store import ArtifactRef, FolderStore
from quantcore.grid import IntGrid
from tasks.evalspecs import FidelityReport
from tasks.generations import Generations
from tasks.specs import (
    BlockRecord,
    CalibrationRef,
    ComputeSpec,
    ExportResult,
    FolderChecks,
    VerifyReport,
)
from tests.support.card import generations
from tests.support.evaluations import (
    PASS,
    a_divergence,
    a_model,
    a_table,
    an_evaluation,
)
from tests.support.exports import source_of, write_export
from tests.support.scores import RULES, a_comparison, a_task, single

REF = ArtifactRef(uri="cas/x", sha256="0" * 64)
BLOCK = BlockRecord(
    block=0,
    ref=REF,
    loss_before=0.5,
    loss_after=0.25,
    chosen_iteration=7,
    fallback=None,
    sqnr_db=20.0,
    seconds=1.0,
    peak_bytes=1,
    reused=False,
)
CHECKS = FolderChecks(
    quantized_modules=7,
    expected_modules=7,
    missing_keys=(),
    unexpected_keys=(),
    mismatched_keys=(),
    codes_equal=True,
    text_logit_error=0.5,
    image_logit_error=None,
    logit_tolerance=1.0,
)
WORSE = a_comparison(a_task(after=76.0), difference=-4.0, bounds=(-5.0, -3.0))
ASKED = ("gate.clusters=1", "quantization.group_size=32", "quantization.iters=200")


def a_report(name: str, origin: Origin) -> CalibrationReport:
    """Return what is known of a calibration set."""
    return CalibrationReport(
        name=name,
        kind="text",
        origin=origin,
        nsamples=4,
        seqlen=64,
        seed=3,
        tokens=256,
        lengths={"57-64": 4},
        rows_total=9,
        rows_visited=7,
        row_ids=("0", "2", "4", "6"),
        skipped={"too_short": 2, "bad_text": 1},
        images=0,
        text_only=4,
        distinct_images=0,
        images_sha256=None,
        samples_sha256="5a" * 32,
        processor="Qwen2Tokenizer",
        versions={"torch": "2"},
    )


LOCAL = Origin(
    where="local",
    source="rows.jsonl",
    files=(SourceFile(name="rows.jsonl", bytes=12, sha256="1f" * 32),),
)
HUB = Origin(where="hub", source="NeelNanda/pile-10k", revision="c" * 40, licence="mine")


@pytest.fixture(scope="module")
def variants(
    tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[VariantResult, ...]:
    """Return two variants whose exports are really there, one learned on each set."""
    made = []
    for name, origin in (("pile", HUB), ("llava", LOCAL)):
        folders = write_export(
            tiny_model, tmp_path_factory.mktemp("out") / name, IntGrid(group_size=32)
        )
        for folder in folders.values():
            told = json.loads((folder / "roundhouse.json").read_bytes())
            told["provenance"]["calibration"] = a_report(name, origin).model_dump(mode="json")
            (folder / "roundhouse.json").write_text(json.dumps(told))
        made.append(
            VariantResult(
                name=name,
                blocks=(BLOCK,),
                export=ExportResult(variant=name, folders=folders, seconds=1, bytes=1),
                verification=VerifyReport(folders=dict.fromkeys(folders, CHECKS)),
            )
        )
    return tuple(made)


@pytest.fixture
def result(tmp_path: Path, tiny_model: Path, variants: tuple[VariantResult, ...]) -> RunResult:
    """Return a run in which llava passes, and pile does not."""
    scores = single([1, 1, 0, 1], name="POPE", kind="yes_no")
    models = [a_model(FolderStore(tmp_path / "store"), "16bits", scores)]
    evaluation = an_evaluation(
        {"pile": WORSE, "llava": PASS},
        fidelity={"llava": FidelityReport(text=a_divergence(mean_kl=0.25, rounded=0.5))},
        models=models,
        tables=[a_table("POPE", notes=["A note."])],
    )
    return RunResult(source=source_of(tiny_model), variants=variants, evaluation=evaluation)


def recipe(*overrides: str) -> Recipe:
    """Return the demo recipe, as it was asked for here."""
    return recipefile.load("demo", [*ASKED, *overrides])


def facts_of(result: RunResult, **more: Any) -> Any:
    """Return the facts of a run without sample answers."""
    return release_facts(recipe(), result, None, **more)


def test_the_chosen_variant_is_told_of(result: RunResult) -> None:
    """What passes the gate goes out, and its blocks and files are told."""
    facts = facts_of(result)

    assert (facts.name, facts.variant) == ("demo", "llava")
    assert [each.model_dump() for each in facts.blocks] == [
        {
            "block": 0,
            "loss_before": 0.5,
            "loss_after": 0.25,
            "chosen_iteration": 7,
            "fallback": None,
        }
    ]
    assert facts.tool.version == metadata.version("roundhouse")


def test_the_source_is_told_with_its_commit_and_digest(result: RunResult, tiny_model: Path) -> None:
    """And with the size of its weights, which the release is compared with."""
    source = facts_of(result).source

    assert (source.repo_id, source.commit) == (result.source.repo_id, result.source.commit)
    assert source.architecture == "Qwen2VLForConditionalGeneration"
    assert source.weight_bytes == (tiny_model / "model.safetensors").stat().st_size
    assert source.license is None


def test_formats_are_told_by_their_files(result: RunResult) -> None:
    """Bytes of weights alone, and how many files the folder holds."""
    facts = facts_of(result)

    for told in facts.formats:
        folder = result.chosen.export.folders[told.format]
        sizes = [path.stat().st_size for path in folder.glob("*.safetensors")]
        assert (told.weight_bytes, told.files) == (sum(sizes), len(list(folder.iterdir())))
    assert {each.format for each in facts.loaders} == {"auto_round", "auto_gptq"}


def test_what_reading_back_has_shown_is_told(result: RunResult) -> None:
    """Of both formats of the variant that goes out."""
    told = facts_of(result).verification

    assert [each.format for each in told] == ["auto_round", "auto_gptq"]
    assert (told[0].modules, told[0].codes_equal, told[0].text_logit_error) == (7, True, 0.5)
    assert told[0].image_logit_error is None


def test_every_calibration_set_is_told_as_it_was_drawn(result: RunResult) -> None:
    """Revision, licence, files and digests are those of the export's own provenance."""
    pile, llava = facts_of(result).calibration

    assert (pile.repo_id, pile.revision, pile.licence) == (HUB.source, HUB.revision, "mine")
    assert (llava.repo_id, llava.revision, llava.files[0].name) == (None, None, "rows.jsonl")
    assert (pile.skipped, pile.tokens, pile.samples_sha256) == (3, 256, "5a" * 32)


def test_the_held_out_text_is_told_where_there_was_one(result: RunResult) -> None:
    """And its revision goes into the recipe."""
    text = CalibrationRef(
        name="held-out", ref=REF, report=a_report("held-out", HUB).model_dump(mode="json")
    )
    facts = facts_of(result, text=text)

    assert facts.held_out is not None
    assert facts.held_out.revision == HUB.revision
    assert facts.recipe["evaluation"]["text"]["revision"] == HUB.revision
    assert facts_of(result).held_out is None


def test_scores_verdicts_and_notes_are_those_of_the_evaluation(result: RunResult) -> None:
    """Of all variants; the table has a column for each."""
    told = facts_of(result).evaluation

    assert told is not None
    assert (told.rules, told.resamples, told.seed) == (RULES, 9999, 42)
    assert told.variants == ("pile", "llava")
    assert (told.outcome("pile"), told.outcome("llava")) == ("fail", "pass")
    assert told.benchmarks[0].notes == ("A note.",)
    assert told.benchmarks[0].dropped == 1
    assert told.engine["engine"] == "transformers"


def test_fidelity_is_told_with_its_interval(result: RunResult) -> None:
    """Shares as percent, the rest as it was measured."""
    (told,) = facts_of(result).fidelity

    assert (told.variant, told.on, told.mean_kl, told.mean_kl_rtn) == ("llava", "text", 0.25, 0.5)
    assert (told.mean_kl_low, told.mean_kl_high, told.top1_percent) == (0.25, 0.25, 97.5)


def test_sample_answers_are_told(result: RunResult) -> None:
    """As the task gave them."""
    told = Generations(facts=generations(), pictures={"samples/1.png": REF})

    assert release_facts(recipe(), result, told).generations == told.facts
    assert facts_of(result).generations is None


def test_the_step_that_was_taken_is_told(result: RunResult) -> None:
    """None is given for 1 / iters, and round-to-nearest takes none."""
    assert facts_of(result).method.step == 1 / 200
    given = release_facts(recipe("quantization.lr=0.5"), result, None)
    nearest = release_facts(recipe("quantization.iters=0"), result, None)
    assert (given.method.step, nearest.method.step) == (0.5, None)


def test_an_approval_and_a_signature_are_told(result: RunResult) -> None:
    """Who let it go on, and whether there is something to verify."""
    approved = result.model_copy(update={"approval": Approval(by="Ada", reason="Enough.")})
    signed = recipe("publish.repo_id=a/b", "publish.signing_key=/keys/mine.pem")
    facts = release_facts(signed, approved, None)

    assert facts.approval is not None
    assert (facts.approval.by, facts.approval.reason) == ("Ada", "Enough.")
    assert (facts.signed, facts_of(result).signed) == (True, False)
    assert "mine.pem" not in as_json(facts).decode()


def test_without_benchmarks_there_is_no_evaluation_to_tell(result: RunResult) -> None:
    """The first variant goes out then."""
    bare = result.model_copy(update={"evaluation": None})
    facts = facts_of(bare)

    assert (facts.variant, facts.evaluation, facts.fidelity) == ("pile", None, ())


def test_the_same_result_gives_the_same_facts(result: RunResult) -> None:
    """No time, no place: a second publication is recognized."""
    first, second = (as_json(facts_of(result)) for _ in range(2))

    assert first == second
    assert read_facts(first, "release.json") == facts_of(result)
    assert str(result.source.path) not in first.decode()


def test_a_promotion_tells_its_own_evaluation(result: RunResult) -> None:
    """Everything else is as the candidate told it."""
    before = facts_of(result)
    evaluation = an_evaluation(
        {"llava": PASS}, models=result.evaluation.models, tables=result.evaluation.tables
    )

    facts = promoted_facts(before, recipe(), evaluation, Approval(by="Ada", reason="Yes."))

    assert facts.evaluation is not None
    assert facts.evaluation.variants == ("llava",)
    assert facts.approval is not None
    assert (facts.blocks, facts.recipe, facts.source) == (
        before.blocks,
        before.recipe,
        before.source,
    )


def test_the_environment_names_what_computes() -> None:
    """Packages with their versions, the kind of machine, and the precision."""
    told = environment(ComputeSpec(device="cpu", dtype="float32"))

    assert told["torch"] == metadata.version("torch")
    assert told["precision"] == "float32"
    assert "CPU" in told["device"]
    assert "cuda" not in told


def test_a_source_that_is_a_folder_is_called_by_its_name(
    result: RunResult, tiny_model: Path
) -> None:
    """Its place stays unsaid."""
    source = ModelSource(path=tiny_model, digest="d" * 64)
    local = result.model_copy(update={"source": source})
    facts = release_facts(recipe(f"model.source={tiny_model}"), local, None)

    assert facts.source.name == tiny_model.name
    assert str(tiny_model.parent) not in as_json(facts).decode()


def test_the_machine_is_that_of_the_workers() -> None:
    """Whoever handed the work out may have no GPU: what is told is what the blocks ran on."""
    gpu = {"device": "NVIDIA H200", "cuda": "13.0", "precision": "bfloat16"}
    blocks = [BLOCK.model_copy(update={"block": n, "made_on": gpu}) for n in range(2)]

    told = environment(ComputeSpec(device="cuda"), blocks)

    assert {name: told[name] for name in gpu} == gpu
