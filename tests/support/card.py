"""Facts of a release for tests: those of the reference card where it has them, and made-up ones."""

from collections.abc import Mapping, Sequence
from typing import Any

from infra.card.facts import (
    BlockFacts,
    CalibrationFacts,
    DataFile,
    FidelityFacts,
    FormatFacts,
    GenerationFacts,
    KeptPart,
    MethodFacts,
    Publication,
    ReleaseFacts,
    Sample,
    SourceFacts,
    Tool,
    VerificationFacts,
    WeightFacts,
)
from infra.card.loaders import loaders
from infra.card.render import render
from infra.card.scores import (
    AVERAGE,
    BenchmarkFacts,
    EvaluationFacts,
    Metric,
    ScoreRow,
    VariantScore,
    VariantVerdict,
)
from infra.checkpoints.plan import FORMATS
from infra.evaluation.verdict import Finding, Verdict
from infra.evaluation.wording import MINUS
from infra.publishing.pinned import Pinned
from infra.publishing.target import Target

TARGET = Target(repo_id="acme/Qwen2-VL-7B-Instruct-int4-sym", version="v1.0.0")
GPTQ = Pinned(
    repo_id=TARGET.repo_id,
    commit="a7269c6" + "0123456789abcdef" * 2 + "0",
    short="a7269c6",
    tag=TARGET.gptq_tag,
)
PICTURE = "samples/1.png"

REFERENCE: Mapping[str, tuple[float, float, float]] = {
    "MMBench_DEV_EN_V11": (80.50, 79.64, 80.42),
    "ScienceQA_VAL": (84.69, 83.88, 83.26),
    "TextVQA_VAL": (84.36, 84.28, 84.11),
    "POPE": (86.13, 87.57, 85.89),
}
"""The rows of the reference card: 16 bits, pile, llava."""

_METRICS: Mapping[str, Metric] = {
    "MMBench_DEV_EN_V11": "circular accuracy",
    "ScienceQA_VAL": "accuracy",
    "TextVQA_VAL": "VQA accuracy",
    "POPE": "F1",
}
_VARIANTS = ("pile", "llava")


MAIN = Publication(
    format="auto_round",
    repo_id=TARGET.repo_id,
    branch=TARGET.branch,
    version=TARGET.version,
    gptq_repo_id=GPTQ.repo_id,
    gptq_branch=TARGET.gptq_branch,
    gptq_tag=GPTQ.tag,
    gptq_commit=GPTQ.commit,
    gptq_short=GPTQ.short,
)
"""The names of the revision on the main branch."""


def rendered(facts: ReleaseFacts) -> str:
    """Return the card on the main branch."""
    return render(facts.published_as(MAIN))


def evaluation_facts(
    rows: Mapping[str, Sequence[float]] = REFERENCE, variants: Sequence[str] = _VARIANTS
) -> EvaluationFacts:
    """Return an evaluation with these rows: the 16-bit model's number, then each variant's."""
    table = [_row(name, numbers, variants) for name, numbers in rows.items()]
    means = [sum(column) / len(rows) for column in zip(*rows.values(), strict=True)]
    return EvaluationFacts(
        rules="vlmevalkit-7de2dcb",
        engine={"engine": "transformers", "version": "5.23.0", "dtype": "bfloat16"},
        image_path="vlmevalkit",
        limit=None,
        seed=42,
        resamples=9999,
        benchmarks=tuple(
            BenchmarkFacts(
                name=name,
                metric=_METRICS.get(name, "accuracy"),
                rows=4876,
                questions=1164,
                dropped=0,
                table_sha256="ab" * 32,
                notes=("2 rows have no image and are not asked.",) if name == "POPE" else (),
            )
            for name in rows
        ),
        average=_row(AVERAGE, means, variants, flips=False),
        rows=tuple(table),
        verdicts=tuple(VariantVerdict(variant=name, verdict=a_verdict()) for name in variants),
    )


def a_verdict(*findings: Finding) -> Verdict:
    """Return a verdict that passes, with these findings."""
    return Verdict(outcome="pass", reasons=findings or (a_finding(),))


def a_finding(**changes: Any) -> Finding:
    """Return something that the gate has looked at."""
    told = {
        "check": "average",
        "outcome": "pass",
        "measured": -0.61,
        "limit": -1.5,
        "words": f"The average went from 83.92 to 83.84 ({MINUS}0.08; hardly below {MINUS}0.61).",
    }
    return Finding(**told | changes)


def judged(evaluation: EvaluationFacts, verdict: Verdict) -> EvaluationFacts:
    """Return an evaluation with the same verdict on every variant."""
    verdicts = tuple(VariantVerdict(variant=name, verdict=verdict) for name in evaluation.variants)
    return evaluation.model_copy(update={"verdicts": verdicts})


def release_facts(**changes: Any) -> ReleaseFacts:
    """Return the facts of a release like that of the reference card."""
    told: dict[str, Any] = {
        "tool": Tool(version="0.1.0"),
        "name": "qwen2-vl-7b-instruct",
        "variant": "pile",
        "source": source_facts(),
        "method": MethodFacts(
            bits=4,
            group_size=128,
            symmetric=True,
            iters=1000,
            batch_size=8,
            step=0.001,
            seed=42,
            segments=1,
        ),
        "weights": _weights(),
        "formats": (
            FormatFacts(format="auto_round", weight_bytes=5_986_652_160, files=14),
            FormatFacts(format="auto_gptq", weight_bytes=5_990_002_176, files=15),
        ),
        "loaders": loaders(),
        "verification": tuple(
            VerificationFacts(
                format=kind,
                modules=196,
                codes_equal=True,
                text_logit_error=0.00123,
                image_logit_error=0.00234,
                logit_tolerance=0.02,
            )
            for kind in FORMATS
        ),
        "calibration": (_pile(), local_set()),
        "blocks": blocks(28),
        "evaluation": evaluation_facts(),
        "fidelity": tuple(fidelity(variant) for variant in _VARIANTS),
        "generations": generations(),
        "environment": {"python": "3.11.9", "torch": "2.14.1", "device": "NVIDIA H100 80GB HBM3"},
        "recipe": {"name": "qwen2-vl-7b-instruct", "model": {"source": "Qwen/Qwen2-VL"}},
        "local_files": ("conversation_58k.json", "train2017"),
    }
    return ReleaseFacts(**told | changes)


def source_facts(**changes: Any) -> SourceFacts:
    """Return the model of the reference card."""
    told: dict[str, Any] = {
        "name": "Qwen/Qwen2-VL-7B-Instruct",
        "repo_id": "Qwen/Qwen2-VL-7B-Instruct",
        "commit": "eed13092ef92e448dd6875b2a00151bd3f7db0ac",
        "digest": "c0ffee00" * 8,
        "architecture": "Qwen2VLForConditionalGeneration",
        "license": "apache-2.0",
        "languages": ("en",),
        "weight_bytes": 16_582_750_976,
    }
    return SourceFacts(**told | changes)


def blocks(count: int) -> tuple[BlockFacts, ...]:
    """Return so many blocks, of which learning has helped all but the fourth."""
    return tuple(
        BlockFacts(
            block=block,
            loss_before=0.0004 * 1.21**block,
            loss_after=0.0003 * 1.21**block,
            chosen_iteration=900 + block,
            fallback="the loss was not finite at iteration 3" if block == 3 else None,
        )
        for block in range(count)
    )


def generations(**changes: Any) -> GenerationFacts:
    """Return one question with two answers."""
    sample: dict[str, Any] = {
        "picture": PICTURE,
        "sha256": "12" * 32,
        "benchmark": "MMBench_DEV_EN_V11",
        "index": 241,
        "question": "Question: What is this?\nOptions:\nA. a dog\nB. a lamp\n"
        "Please select the correct answer from the options above.",
        "int4": "A",
        "int4_capped": False,
        "full": "A. a dog",
        "full_capped": True,
    }
    return GenerationFacts(
        max_new_tokens=64,
        engine={"engine": "transformers", "version": "5.23.0", "dtype": "bfloat16"},
        samples=(Sample(**sample | changes),),
    )


def fidelity(variant: str) -> FidelityFacts:
    """Return how near a variant is on text."""
    return FidelityFacts(
        variant=variant,
        on="text",
        samples=64,
        tokens=131008,
        perplexity_16bit=7.3012,
        perplexity_int4=7.3924,
        mean_kl=0.01241,
        mean_kl_low=0.01198,
        mean_kl_high=0.01285,
        mean_kl_rtn=0.02133,
        p99_kl=0.14221,
        top1_percent=94.113,
    )


def _row(
    name: str, numbers: Sequence[float], variants: Sequence[str], *, flips: bool = True
) -> ScoreRow:
    baseline, *others = numbers
    return ScoreRow(
        name=name,
        baseline=baseline,
        variants=tuple(
            VariantScore(
                variant=variant,
                overall=number,
                difference=number - baseline,
                low=number - baseline - 0.75,
                high=number - baseline + 0.75,
                recovery=100 * number / baseline,
                flips_down=1.25 if flips else None,
                flips_up=1.5 if flips else None,
            )
            for variant, number in zip(variants, others, strict=True)
        ),
    )


def _weights() -> WeightFacts:
    return WeightFacts(
        modules=196,
        packed_parameters=6525288448,
        parameters=8291375616,
        kept=(
            KeptPart(
                part="vision tower and merger",
                tensors=391,
                parameters=675759104,
                dtypes=("bfloat16",),
            ),
            KeptPart(part="output head", tensors=1, parameters=544997376, dtypes=("bfloat16",)),
            KeptPart(
                part="token embeddings", tensors=1, parameters=544997376, dtypes=("bfloat16",)
            ),
            KeptPart(
                part="norms and biases of the language model",
                tensors=141,
                parameters=333312,
                dtypes=("bfloat16",),
            ),
        ),
    )


def _pile() -> CalibrationFacts:
    return CalibrationFacts(
        name="pile",
        kind="text",
        source="NeelNanda/pile-10k",
        repo_id="NeelNanda/pile-10k",
        revision="127bfedcd5047750df5ccf3a12979a47bfa0bafa",
        licence="bigscience-bloom-rail-1.0, as its card says",
        nsamples=512,
        seqlen=2048,
        seed=42,
        tokens=1048576,
        images=0,
        skipped=7991,
        samples_sha256="5a" * 32,
    )


def local_set(**changes: Any) -> CalibrationFacts:
    """Return a set that was read from local files."""
    told: dict[str, Any] = {
        "name": "llava",
        "kind": "image_text",
        "source": "conversation_58k.json",
        "files": (DataFile(name="conversation_58k.json", bytes=59_000_000, sha256="f1" * 32),),
        "nsamples": 512,
        "seqlen": 2048,
        "seed": 42,
        "tokens": 493_210,
        "images": 512,
        "skipped": 0,
        "samples_sha256": "6b" * 32,
        "images_sha256": "7c" * 32,
    }
    return CalibrationFacts(**told | changes)
