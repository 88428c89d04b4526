"""Perplexity, KL and agreement are those of whole models on the same tokens."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from transformers import Qwen2VLForConditionalGeneration

from infra.calibration.collect import collect
from infra.calibration.sample import Sample
from infra.errors import NonFinitePredictionsError
from infra.models.loading import load, logits_of
from infra.store import ArtifactRef, FolderStore
from tasks.answer import answer_benchmarks
from tasks.calibrate import collect_samples
from tasks.evalspecs import (
    AnswersRef,
    BlockNoise,
    Divergence,
    FidelityPlan,
    FidelityReport,
    Subject,
    TableRef,
)
from tasks.fidelity import compare_predictions
from tasks.reader import open_export
from tasks.readings import answer_readings
from tests.support.calibration import a_spec, write_documents
from tests.support.examining import ON_CPU, a_shard, asking, demo_tables, rounded, subject
from tests.support.models import replaced, rewritten
from tests.support.places import place_at
from tests.support.runs import BLOCKS, World

WIDTHS = {"two": (2, 32), "four": (4, 32), "wide": (4, 64), "eight": (8, 32)}
PROMPTS = 6  # of the two benchmarks together


class Setting(NamedTuple):
    """A 16-bit model, its exports, and what they are compared on."""

    baseline: Subject
    exports: dict[str, Subject]
    text: ArtifactRef
    texts: tuple[Sample, ...]
    tables: tuple[TableRef, ...]
    answers: tuple[AnswersRef, ...]
    store: Path

    def plan(self, *names: str, **changes: Any) -> FidelityPlan:
        """Return a plan that compares exports, or "itself", on text alone."""
        known = {**self.exports, "itself": self.baseline}
        asked: dict[str, Any] = {
            "baseline": self.baseline,
            "candidates": tuple(Subject(name=n, source=known[n].source) for n in names),
            "text": self.text,
            "compute": ON_CPU,
            "place": place_at(self.store),
        }
        return FidelityPlan(**asked | changes)

    def with_prompts(self, *names: str, **changes: Any) -> FidelityPlan:
        """Return a plan that compares them on questions, too."""
        asked = asking(self.tables[0].path.parent, fidelity_prompts=PROMPTS)
        prompts = {"tables": self.tables, "answers": self.answers, "asked": asked}
        return self.plan(*names, **prompts | changes)


@pytest.fixture(scope="module")
def setting(world: World, tmp_path_factory: pytest.TempPathFactory) -> Setting:
    """Return texts that nobody learned from, and a 16-bit model that has answered."""
    root = tmp_path_factory.mktemp("fidelity")
    folder, store = world.source.path, root / "store"
    path = write_documents(root / "texts.jsonl", 20, sentences=5)
    spec = a_spec(path, nsamples=6, seqlen=40, seed=3)
    tables = demo_tables(root / "tables")[2:]
    baseline = Subject(name="16bits", source=world.source)
    return Setting(
        baseline,
        {
            name: subject(name, rounded(folder, root / name, bits=bits, group_size=size))
            for name, (bits, size) in WIDTHS.items()
        },
        collect_samples.fn(spec, world.source, place_at(store)).ref,
        collect(spec, folder).samples,
        tables,
        answer_benchmarks.fn(a_shard(baseline, tables, store)),
        store,
    )


@pytest.fixture(scope="module")
def reports(setting: Setting) -> dict[str, FidelityReport]:
    """Return all exports and the 16-bit model itself, on text and on questions."""
    return compare_predictions.fn(setting.with_prompts(*WIDTHS, "itself"))


def on_text(report: FidelityReport) -> Divergence:
    """Return what a report says of text."""
    assert report.text is not None
    return report.text


def on_prompts(report: FidelityReport) -> Divergence:
    """Return what a report says of questions."""
    assert report.prompts is not None
    return report.prompts


def whole(folder: Path, export: Path | None = None) -> torch.nn.Module:
    """Return transformers' model in memory: the 16-bit one, or one with an export's weights."""
    if export is None:
        return Qwen2VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    tensors = open_export(export)
    weights = tensors.load_many(tensors.names)
    return load(folder, weights, device="cpu", dtype=torch.float32).model


def log_probabilities(model: torch.nn.Module, sample: Sample, first: int) -> Tensor:
    """Return the log-probabilities of each token that counts, in float64."""
    return torch.log_softmax(logits_of(model, sample)[first - 1 : -1].double(), dim=-1)


def check(told: Divergence, setting: Setting, counted: list[tuple[Sample, int]]) -> None:
    """Hold numbers of the 2-bit export to those of whole models."""
    folder = setting.baseline.source.path
    models = (whole(folder), whole(folder, setting.exports["two"].source.path))
    p, q = (
        torch.cat([log_probabilities(model, sample, first) for sample, first in counted])
        for model in models
    )
    following = torch.cat([sample.input_ids[first:] for sample, first in counted])[:, None]
    kl = (p.exp() * (p - q)).sum(1)

    assert (told.samples, told.tokens) == (len(counted), len(following))
    assert math.isclose(
        told.perplexity_16bit, math.exp(-p.gather(1, following).mean()), rel_tol=1e-5
    )
    assert math.isclose(
        told.perplexity_int4, math.exp(-q.gather(1, following).mean()), rel_tol=1e-5
    )
    assert math.isclose(told.mean_kl, kl.mean(), rel_tol=1e-4)
    assert math.isclose(told.p99_kl, kl.quantile(0.99, interpolation="higher"), rel_tol=1e-3)
    assert told.top1_agreement == float((p.argmax(1) == q.argmax(1)).double().mean())


def test_eight_bits_are_all_but_the_source(reports: dict[str, FidelityReport]) -> None:
    """Rounding to 8 bits leaves next to no divergence, and rounding to 2 bits a great deal."""
    for part in (on_text, on_prompts):
        two, eight = part(reports["two"]), part(reports["eight"])
        assert 0 < eight.mean_kl < 1e-3
        assert eight.top1_agreement > 0.95
        assert two.mean_kl > 100 * eight.mean_kl
        assert two.top1_agreement < eight.top1_agreement
        assert two.perplexity_16bit == eight.perplexity_16bit
        assert two.mean_kl_interval.low > eight.mean_kl_interval.high


def test_the_16_bit_model_against_itself_is_exactly_itself(
    reports: dict[str, FidelityReport],
) -> None:
    """KL 0 and agreement 1, on text and on questions, and no noise at any block."""
    itself = reports["itself"]

    for told in (on_text(itself), on_prompts(itself)):
        assert (told.mean_kl, told.p99_kl, told.top1_agreement) == (0, 0, 1)
        assert (told.mean_kl_interval.low, told.mean_kl_interval.high) == (0, 0)
        assert told.perplexity_ratio == 1
    assert itself.blocks == tuple(BlockNoise(block=n, sqnr_db=None) for n in range(BLOCKS))
    assert itself.worst_blocks == ()


def test_text_is_that_of_whole_models(setting: Setting, reports: dict[str, FidelityReport]) -> None:
    """Transformers' own model, loaded whole in 16 bit and with 2-bit weights, gives the same."""
    told = on_text(reports["two"])

    assert told.tokens == 6 * 39
    check(told, setting, [(sample, 1) for sample in setting.texts])


def test_questions_are_those_of_whole_models(
    setting: Setting, reports: dict[str, FidelityReport]
) -> None:
    """With their pictures, and along the 16-bit model's answers, which alone count."""
    plan = setting.with_prompts()
    assert plan.asked is not None
    readings = [
        reading
        for table, answers in zip(setting.tables, setting.answers, strict=True)
        for reading in answer_readings(
            setting.baseline.source.path,
            table,
            [answers],
            plan.asked,
            PROMPTS // 2,
            FolderStore(setting.store),
        )
    ]

    told = on_prompts(reports["two"])

    assert told.samples == PROMPTS
    check(told, setting, [(reading.sample, reading.first) for reading in readings])


def test_round_to_nearest_is_its_own_rival(reports: dict[str, FidelityReport]) -> None:
    """An exported round-to-nearest checkpoint and rounding on the spot: no difference at all."""
    for name in WIDTHS:
        for told in (on_text(reports[name]), on_prompts(reports[name])):
            assert told.mean_kl_rtn == told.mean_kl
            assert told.less_than_rtn is not None
            assert told.less_than_rtn.low == told.less_than_rtn.high == 0


def test_the_rival_has_the_candidates_own_grid(reports: dict[str, FidelityReport]) -> None:
    """Bits and group size; a 16-bit model has no rival."""
    rivals = [on_text(reports[name]).mean_kl_rtn for name in WIDTHS]

    assert len(set(rivals)) == len(WIDTHS)
    assert on_text(reports["itself"]).mean_kl_rtn is None
    assert on_text(reports["itself"]).less_than_rtn is None


def test_all_are_held_against_four_bits_of_their_group_size(
    reports: dict[str, FidelityReport],
) -> None:
    """Four bits against four are one times as much, two bits are more than a bit's worth worse."""
    two, four, wide, eight = (on_text(reports[name]) for name in WIDTHS)

    assert two.mean_kl_int4 == four.mean_kl_int4 == eight.mean_kl_int4 == four.mean_kl
    assert wide.mean_kl_int4 == wide.mean_kl != four.mean_kl
    for told, low, high in ((two, 4, 10_000), (four, 1, 1), (wide, 1, 1), (eight, 0, 0.25)):
        assert told.times_int4 is not None
        assert low <= told.times_int4.low <= told.times_int4.high <= high
    assert on_text(reports["itself"]).times_int4 is None


def test_every_block_is_told_and_the_worst_are_named(reports: dict[str, FidelityReport]) -> None:
    """In their order, and worst first; noise adds up on its way through the model."""
    two = reports["two"]
    noise = [each.sqnr_db for each in two.blocks]

    assert [each.block for each in two.blocks] == list(range(BLOCKS))
    assert all(value is not None and 0 < value < 30 for value in noise)
    assert [each.sqnr_db for each in two.worst_blocks] == sorted(noise)


def test_activations_in_a_file_give_the_same_numbers(
    setting: Setting, reports: dict[str, FidelityReport]
) -> None:
    """A small memory budget changes no digit."""
    tiny = ON_CPU.model_copy(update={"activation_gib": 1e-9})

    found = compare_predictions.fn(setting.with_prompts("two", "itself", compute=tiny))

    assert found == {name: reports[name] for name in ("two", "itself")}


def test_text_alone_is_compared_as_well(
    setting: Setting, reports: dict[str, FidelityReport]
) -> None:
    """And questions alone: what is not there is None, and the rest stays as it is.

    Up to the order of sums, since other batches are formed and kernels depend on their sizes.
    """
    (text,) = compare_predictions.fn(setting.plan("two")).values()
    (prompts,) = compare_predictions.fn(setting.with_prompts("two", text=None)).values()

    assert (text.prompts, prompts.text) == (None, None)
    for part, alone in ((on_text, text), (on_prompts, prompts)):
        assert part(alone).tokens == part(reports["two"]).tokens
        assert part(alone).mean_kl == pytest.approx(part(reports["two"]).mean_kl, rel=1e-5)


@pytest.mark.parametrize(
    "changes",
    [{"candidates": ()}, {"text": None}, {"text": None, "asked": None}],
    ids=["no-candidate", "no-text", "nothing-asked"],
)
def test_nothing_to_compare_is_an_empty_report(setting: Setting, changes: dict[str, Any]) -> None:
    """Without a candidate or a token no model is even opened."""
    gone = setting.baseline.source.model_copy(update={"path": Path("/nowhere")})
    baseline = Subject(name="16bits", source=gone)

    assert compare_predictions.fn(setting.plan("two", baseline=baseline, **changes)) == {}


def test_no_question_may_be_wanted(setting: Setting) -> None:
    """Then text alone is compared, although benchmarks are asked."""
    none = asking(setting.tables[0].path.parent, fidelity_prompts=0)

    (report,) = compare_predictions.fn(setting.with_prompts("two", asked=none)).values()

    assert report.prompts is None
    assert report.text is not None


def test_reports_survive_json(reports: dict[str, FidelityReport]) -> None:
    """What is written is read again, a block without noise too."""
    for report in reports.values():
        assert FidelityReport.model_validate_json(report.model_dump_json()) == report


def test_a_checkpoint_is_read_from_its_own_files(setting: Setting, tmp_path: Path) -> None:
    """Its norms and its head, too: an export whose head was changed is no longer the same."""
    folder = setting.baseline.source.path
    changed = rewritten(
        folder, tmp_path / "head", weights=replaced("lm_head.weight", lambda weight: 2 * weight)
    )
    candidates = (subject("changed", changed),)

    (report,) = compare_predictions.fn(setting.plan(candidates=candidates)).values()

    assert on_text(report).mean_kl > 0.1
    assert on_text(report).top1_agreement == 1
    assert {each.sqnr_db for each in report.blocks} == {None}


@pytest.mark.parametrize(
    ("tensor", "where"),
    [
        ("model.layers.1.mlp.up_proj.weight", "from block 1 on"),
        ("lm_head.weight", "in its output head"),
    ],
)
def test_predictions_that_are_no_numbers_are_told(
    setting: Setting, tmp_path: Path, tensor: str, where: str
) -> None:
    """Which model, and from where on; nothing is averaged over NaN."""
    damage = replaced(tensor, lambda weight: torch.full_like(weight, math.nan))
    broken = rewritten(setting.baseline.source.path, tmp_path / "broken", weights=damage)
    candidates = (subject("broken", broken), setting.exports["eight"])

    with pytest.raises(NonFinitePredictionsError, match=f"^broken .* {where}"):
        compare_predictions.fn(setting.plan(candidates=candidates))


def test_a_broken_16_bit_model_is_told_as_such(setting: Setting, tmp_path: Path) -> None:
    """And not taken for the candidate's fault."""
    damage = replaced("model.layers.2.mlp.up_proj.weight", lambda w: torch.full_like(w, math.inf))
    broken = rewritten(setting.baseline.source.path, tmp_path / "broken", weights=damage)

    with pytest.raises(NonFinitePredictionsError, match=r"^The 16-bit model .* from block 2 on"):
        compare_predictions.fn(setting.plan("itself", baseline=subject("16bits", broken)))


def test_scratch_files_are_gone(
    setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the size of the activations, nothing is left where they were."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tiny = ON_CPU.model_copy(update={"activation_gib": 0})

    compare_predictions.fn(setting.plan("two", compute=tiny))

    assert list(tmp_path.iterdir()) == []
