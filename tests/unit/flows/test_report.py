"""What a run did is told in few words, and alike on every machine."""

from pathlib import Path

from flows import recipefile, report
from flows.recipe import ApprovalSpec, EvaluationSpec, Recipe
from flows.results import VariantResult
from infra.store import ArtifactRef
from tasks.evalspecs import FidelityReport
from tasks.specs import BlockRecord, CalibrationRef, ExportResult, VerifyReport
from tests.support.evaluations import FAIL, PASS, a_divergence, a_run, an_evaluation

REF = ArtifactRef(uri="cas/x", sha256="0" * 64)
LEARNED = BlockRecord(
    block=2,
    ref=REF,
    loss_before=0.02,
    loss_after=0.015,
    chosen_iteration=180,
    fallback=None,
    sqnr_db=21.25,
    seconds=12.34,
    peak_bytes=3 << 20,
    reused=False,
)


def recipe_in(folder: Path) -> Recipe:
    """Return the demo recipe with all its paths in ``folder``."""
    overrides = [
        f"model.source={folder}/m",
        f"calibration.pile.source={folder}/t.jsonl",
        f"calibration.llava.source={folder}/c.json",
        f"evaluation.text.source={folder}/h.jsonl",
        f"export.output_dir={folder}/out",
    ]
    return recipefile.load("demo", overrides)


def variant(name: str) -> VariantResult:
    """Return a small result."""
    return VariantResult(
        name=name,
        blocks=(LEARNED,),
        export=ExportResult(
            variant="pile", folders={"auto_gptq": Path("out/auto_gptq")}, seconds=1, bytes=5 << 20
        ),
        verification=VerifyReport(folders={}),
    )


def test_a_block_is_told_in_one_line() -> None:
    """Blocks are counted from 1, and losses say which way they went."""
    line = report.block_line("pile", LEARNED, 6)
    assert line == "pile: block 3 of 6: held-out loss 0.02 -> 0.015 (-25%), 12.3 s"


def test_a_seam_tells_what_it_began_from() -> None:
    """Rounded to nearest, as the segment found it, and as it was kept."""
    tuned = LEARNED.model_copy(update={"loss_found": 0.018})

    line = report.block_line("pile", tuned, 6)

    assert line == "pile: block 3 of 6: held-out loss 0.02 -> 0.018 -> 0.015 (-25%), 12.3 s"


def test_a_fallback_a_plain_rounding_and_a_reused_block_are_told_apart() -> None:
    """A person sees what was learned, what was not, and what was there already."""
    fallback = LEARNED.model_copy(update={"fallback": "not finite", "loss_after": 0.02})
    nearest = LEARNED.model_copy(update={"loss_before": None, "loss_after": None})
    reused = LEARNED.model_copy(update={"reused": True})

    assert "held-out loss 0.02; not finite" in report.block_line("v", fallback, 6)
    assert "rounded to nearest" in report.block_line("v", nearest, 6)
    assert report.block_line("v", reused, 6) == "v: block 3 of 6: taken from the store"


def test_the_table_of_blocks_holds_readable_numbers() -> None:
    """The page shows all digits of a float."""
    (row,) = report.block_rows([LEARNED])

    assert (row["block"], row["loss before"], row["loss after"]) == (3, "0.02", "0.015")
    assert (row["change"], row["SQNR dB"], row["seconds"]) == ("-25%", "21.2", "12.3")
    assert (row["peak MiB"], row["fallback"], row["reused"]) == ("3", "none", "no")


def test_the_summary_shows_fidelity_and_folders() -> None:
    """A table to judge by."""
    recipe = recipefile.load("qwen2-vl-7b-instruct")
    near = FidelityReport(text=a_divergence(mean_kl=0.0125))
    known = an_evaluation({"pile": None, "llava": None}, fidelity={"pile": near})
    result = a_run(known, variants=(variant("pile"), variant("llava")))
    text = report.summary(recipe, result)

    assert "| pile | 7.000 | 7.250 | 0.01250 | 97.50% | 5.0 |" in text
    assert "| llava | - | - | - | - | 5.0 |" in text
    assert "`out/auto_gptq`" in text
    assert "Verdict" not in text


def test_the_summary_says_what_the_gate_decided_and_why() -> None:
    """The page of the run is enough to know whether there is a release, and what is against it."""
    recipe = recipefile.load("qwen2-vl-7b-instruct")
    result = a_run(an_evaluation({"pile": FAIL, "llava": PASS}), variants=(variant("pile"),))
    text = report.summary(recipe, result)

    assert "## Verdict of the gate\n\n- pile: **fail**. The average went from 80.00 to 7" in text
    assert "- llava: **pass**. 8 things were looked at, and none speaks against it." in text


def test_provenance_names_no_machine_and_no_folder(tmp_path: Path) -> None:
    """The same recipe at another place gives the same bytes."""
    here, there = recipe_in(tmp_path / "here"), recipe_in(tmp_path / "there")
    told = [report.request(recipe, recipe.variants[0]).provenance for recipe in (here, there)]

    assert told[0] == told[1]
    assert str(tmp_path) not in str(told)
    assert told[0]["variant"] == "pile"
    assert told[0]["recipe"]["quantization"]["iters"] == 200


def test_provenance_does_not_tell_by_what_the_result_is_judged(tmp_path: Path) -> None:
    """A finished export is known again where thresholds or questions have changed."""
    recipe = recipe_in(tmp_path)
    other = recipe.model_copy(
        update={
            "gate": ApprovalSpec(hold_minutes=60, average_margin=3.0),
            "benchmarks": None,
            "evaluation": EvaluationSpec(),
        }
    )
    told = [report.request(each, each.variants[0]).provenance for each in (recipe, other)]

    assert told[0] == told[1]
    assert {"quantization", "calibration", "model"} <= told[0]["recipe"].keys()


def test_provenance_grows_by_samples_and_blocks(tmp_path: Path) -> None:
    """An export can be told from one of other samples or codes."""
    recipe = recipe_in(tmp_path)
    wanted = report.request(recipe, recipe.variants[0])
    samples = CalibrationRef(name="pile", ref=REF, report={"rows": 3})
    told = report.completed(wanted, samples, [LEARNED]).provenance

    assert told["calibration"] == {"rows": 3}
    assert [block["codes_sha256"] for block in told["blocks"]] == ["0" * 64]
    assert "seconds" not in told["blocks"][0]
