"""May this candidate be released?  Pass, hold for a person, or fail, each with reasons in words.

The average must be shown not to have fallen by more than a margin; that no fall could be shown is
not enough.  Single benchmarks are held to less, because a bound on each would refuse good releases
by chance.  What was not measured is said, and never counts as passed.

A number that equals its threshold keeps it.
"""

from collections.abc import Iterator
from typing import NamedTuple

from infra.evaluation.compared import AverageComparison, Comparison, TaskComparison
from infra.evaluation.verdict import (
    NO_KL,
    AgainstInt4,
    FidelityEvidence,
    Finding,
    GateSpec,
    Outcome,
    Verdict,
)
from infra.evaluation.wording import DOWN, UP, signed, span

__all__ = ["FidelityEvidence", "Finding", "GateSpec", "Outcome", "Verdict", "judge"]

_WORST_FIRST: tuple[Outcome, ...] = ("fail", "hold", "pass")
_HAIR = 1e-9  # shares are quotients: 0.5 may come out as 0.5000000000000004


class _Share(NamedTuple):
    """A share of the answers, in points, before and after."""

    check: str
    what: str
    before: float
    after: float


def judge(
    comparison: Comparison, evidence: FidelityEvidence | None, spec: GateSpec | None = None
) -> Verdict:
    """Judge a candidate by its scores and its fidelity.

    Args:
        comparison: Candidate against the 16-bit model.
        evidence: Fidelity, where it was measured.
        spec: Thresholds; None: the defaults.
    """
    spec = spec or GateSpec()
    reasons = (
        _rows(comparison),
        _average(comparison.average, spec),
        *(finding for task in comparison.tasks for finding in _task(task, spec)),
        *_fidelity(evidence, spec),
    )
    outcomes = {finding.outcome for finding in reasons}
    worst = next(outcome for outcome in _WORST_FIRST if outcome in outcomes)
    return Verdict(outcome=worst, reasons=reasons)


def _rows(comparison: Comparison) -> Finding:
    """Say how much the verdict stands on; that no row is missing, `compare` has seen to."""
    words = (
        f"Both models answered the same {comparison.rows:,} rows of "
        f"{len(comparison.tasks)} benchmarks, and all of them are counted."
    )
    return Finding(check="rows", outcome="pass", measured=comparison.rows, words=words)


def _average(average: AverageComparison, spec: GateSpec) -> Finding:
    """Non-inferiority: hold it back unless the loss is below the margin with 95 % confidence."""
    bounds = average.interval
    outcome: Outcome = "hold"
    if bounds.lower >= -spec.average_margin - _HAIR:
        outcome = "pass"
    elif bounds.upper < -spec.average_margin - _HAIR:
        outcome = "fail"
    meaning = {
        "pass": "so that a greater loss is unlikely",
        "hold": "so that a greater loss can be neither shown nor excluded: a person decides",
        "fail": "so that the loss is greater",
    }[outcome]
    words = (
        f"The average went from {average.baseline:.2f} to {average.candidate:.2f} "
        f"({signed(average.difference, 2)} points, one-sided 95 % bounds "
        f"{signed(bounds.lower, 2)} and {signed(bounds.upper, 2)}); it may lose "
        f"{spec.average_margin:g}, {meaning}."
    )
    return Finding(
        check="average",
        outcome=outcome,
        measured=bounds.lower,
        limit=-spec.average_margin,
        words=words,
    )


def _task(task: TaskComparison, spec: GateSpec) -> Iterator[Finding]:
    """Yield what is looked at in each benchmark."""
    if task.clusters < spec.clusters:
        yield _few(task, spec)
    yield _drop(task, spec)
    old, new = task.baseline, task.candidate
    unreadable = _Share("unreadable", "unreadable answers", old.unreadable, new.unreadable)
    yield _share(task, unreadable, spec.unreadable)
    capped = _Share("capped", "answers cut at the longest length", old.capped, new.capped)
    yield _share(task, capped, spec.capped)
    if old.yes_share is not None and new.yes_share is not None:
        yes = _Share("yes share", "answers Yes", old.yes_share, new.yes_share)
        yield _share(task, yes, spec.yes_share, two_sided=True)
    yield _flips(task, spec)


def _few(task: TaskComparison, spec: GateSpec) -> Finding:
    """Hold what an interval would say too little about."""
    words = (
        f"{task.benchmark} has {task.clusters} independent clusters of rows; from fewer than "
        f"{spec.clusters} no interval can be believed."
    )
    return Finding(
        check="clusters",
        benchmark=task.benchmark,
        outcome="hold",
        measured=task.clusters,
        limit=spec.clusters,
        words=words,
    )


def _drop(task: TaskComparison, spec: GateSpec) -> Finding:
    """Fail a drop that is both large and significant."""
    large = task.difference < -spec.task_drop - _HAIR
    fails = large and task.p_worse_holm < spec.alpha
    words = (
        f"{task.benchmark} went from {task.baseline.overall:.2f} to "
        f"{task.candidate.overall:.2f} ({signed(task.difference, 2)} points, 95 % "
        f"{span(task.interval.low, task.interval.high, 2)}, one-sided p = "
        f"{task.p_worse_holm:.3f} after Holm)"
    )
    if fails:
        words += f"; it may lose {spec.task_drop:g}, and chance can hardly explain it."
    elif large:
        words += f"; it may lose {spec.task_drop:g}, but chance could explain it."
    else:
        words += f"; it may lose {spec.task_drop:g}."
    return Finding(
        check="drop",
        benchmark=task.benchmark,
        outcome="fail" if fails else "pass",
        measured=task.difference,
        limit=-spec.task_drop,
        words=words,
    )


def _share(
    task: TaskComparison, share: _Share, limit: float, *, two_sided: bool = False
) -> Finding:
    """Hold a share of the answers to a change of at most ``limit`` points."""
    change = share.after - share.before
    excess = abs(change) if two_sided else change
    words = (
        f"{task.benchmark}: {share.what} went from {share.before:.2f} % to {share.after:.2f} % "
        f"({signed(change, 2)} points); at most {limit:g} "
        f"{'either way' if two_sided else 'more'} are allowed."
    )
    return Finding(
        check=share.check,
        benchmark=task.benchmark,
        outcome="fail" if excess > limit + _HAIR else "pass",
        measured=change,
        limit=limit,
        words=words,
    )


def _flips(task: TaskComparison, spec: GateSpec) -> Finding:
    """Equal scores may hide many answers that changed both ways."""
    flips = task.flips
    words = (
        f"{task.benchmark}: {flips.rate:.1f} % of answers changed between right and wrong "
        f"({DOWN}{flips.down} {UP}{flips.up} of {flips.units:,}); at most {spec.flips:g} % may."
    )
    return Finding(
        check="flips",
        benchmark=task.benchmark,
        outcome="fail" if flips.rate > spec.flips + _HAIR else "pass",
        measured=flips.rate,
        limit=spec.flips,
        words=words,
    )


def _fidelity(evidence: FidelityEvidence | None, spec: GateSpec) -> Iterator[Finding]:
    """Yield what fidelity says, or that nobody measured it."""
    if evidence is None:
        words = "The KL divergence from the 16-bit model was not measured, so it is not judged."
        yield Finding(check="fidelity", outcome="not judged", words=words)
        return
    yield _against_rounding(evidence)
    yield from _against_int4(evidence, spec)
    yield _against_last_release(evidence, spec)


def _against_rounding(evidence: FidelityEvidence) -> Finding:
    """Learned rounding must be clearly closer to the 16-bit model than plain rounding is."""
    outcome: Outcome = "hold"
    words = f"The mean KL divergence from the 16-bit model is {evidence.mean_kl:.3g} nats"
    if evidence.mean_kl <= NO_KL:
        return _closeness(evidence, "pass", f"{words}: nothing could be closer.")
    if evidence.is_round_to_nearest:
        words += "; it is plain round-to-nearest, so that it is not compared with that."
        return Finding(
            check="fidelity", outcome="not judged", measured=evidence.mean_kl, words=words
        )
    if evidence.mean_kl_rtn is None or evidence.kl_less_rtn is None:
        words += "; plain round-to-nearest was not measured, so that it is not compared with that."
        return Finding(
            check="fidelity", outcome="not judged", measured=evidence.mean_kl, words=words
        )
    low, high = evidence.kl_less_rtn.low, evidence.kl_less_rtn.high
    meaning = "not clearly less: a person decides"
    if high < 0:
        outcome, meaning = "pass", "clearly less"
    elif low > 0:
        outcome, meaning = "fail", "clearly more, so that learning the rounding did harm"
    words += (
        f", that of plain round-to-nearest {evidence.mean_kl_rtn:.3g} (difference, 95 %: "
        f"{low:+.3g} to {high:+.3g}), {meaning}."
    )
    return _closeness(evidence, outcome, words)


def _closeness(evidence: FidelityEvidence, outcome: Outcome, words: str) -> Finding:
    return Finding(
        check="fidelity",
        outcome=outcome,
        measured=evidence.mean_kl,
        limit=evidence.mean_kl_rtn,
        words=words,
    )


def _against_int4(evidence: FidelityEvidence, spec: GateSpec) -> Iterator[Finding]:
    """Say whether the candidate is as near as 4 bits are, whatever bits it has.

    No number of nats tells that for all models, and benchmarks may be too easy to tell it at all.
    """
    if not evidence.against_int4:
        words = "Plain rounding to 4 bits was not measured, so that it is not compared with that."
        yield Finding(check="int4", outcome="not judged", words=words)
    for found in evidence.against_int4:
        yield _beside_int4(found, spec)


def _beside_int4(found: AgainstInt4, spec: GateSpec) -> Finding:
    limit = spec.kl_int4 * max(found.mean_kl_int4, NO_KL)
    outcome: Outcome = "pass"
    meaning = ""
    if found.mean_kl > limit:
        outcome, meaning = "hold", ", and whether it is more is not clear: a person decides"
        if found.times.low > spec.kl_int4:
            outcome, meaning = "fail", ", and it is clearly more: this is not what 4 bits can do"
    words = (
        f"On {found.on} the mean KL divergence is {found.mean_kl:.3g} nats, that of plain rounding "
        f"to 4 bits {found.mean_kl_int4:.3g} (95 %: {found.times.low:.3g} to "
        f"{found.times.high:.3g} times that); it may be {spec.kl_int4:g} times as much{meaning}."
    )
    return Finding(check="int4", outcome=outcome, measured=found.mean_kl, limit=limit, words=words)


def _against_last_release(evidence: FidelityEvidence, spec: GateSpec) -> Finding:
    """An alarm for regressions: KL ranks no candidates, but it does not grow by itself."""
    if evidence.last_released_kl is None:
        words = "No earlier release is known that the KL divergence could be compared with."
        return Finding(check="last release", outcome="not judged", words=words)
    limit = spec.kl_growth * evidence.last_released_kl
    holds = evidence.mean_kl > max(limit, NO_KL)
    words = (
        f"The mean KL divergence is {evidence.mean_kl:.3g} nats and was "
        f"{evidence.last_released_kl:.3g} in the last release; it may be {spec.kl_growth:g} times "
        f"as much, that is {limit:.3g}{', beyond which a person decides' if holds else ''}."
    )
    return Finding(
        check="last release",
        outcome="hold" if holds else "pass",
        measured=evidence.mean_kl,
        limit=limit,
        words=words,
    )
