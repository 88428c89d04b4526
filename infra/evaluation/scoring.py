"""From recorded answers to scores: a pure step, to be repeated in seconds with other rules.

Nothing is scored in part.  A benchmark with a row unanswered has no score, because a mean over the
rest cannot be compared with anything.
"""

from collections.abc import Collection, Mapping, Sequence

from infra.errors import ForeignPredictionsError, MissingPredictionsError, NotCircularError
from infra.evaluation.benchmark import Kind
from infra.evaluation.extraction import choice, yes_or_no
from infra.evaluation.metrics import Counted, Judged, counted_report, detection_report
from infra.evaluation.question import ROTATION, Question, Table
from infra.evaluation.rules import RuleSet
from infra.evaluation.scored import Scored, ScoredGroup, ScoredRow
from infra.evaluation.vqa import agreement, normalised

_SHOWN = 5


def score(
    table: Table, predictions: Mapping[int, str], rules: RuleSet, capped: Collection[int] = ()
) -> Scored:
    """Judge the answers to all questions of a table.

    Args:
        table: The questions; its benchmark says how they are counted.
        predictions: An answer for each question, by its index.
        rules: How answers are read.
        capped: Indices of answers that were cut at the longest length.

    Returns:
        Rows by index; for circular benchmarks also groups; and the numbers.

    Raises:
        MissingPredictionsError: A question has no answer.
        ForeignPredictionsError: An answer belongs to no question.
        NotCircularError: The benchmark is circular, and no question has a first row.
    """
    _check(table, predictions)
    rows = _judge(table, predictions, rules, frozenset(capped))
    benchmark = table.benchmark
    circular = benchmark.circular and benchmark.kind == "mcq"
    whole = [Counted(one.question, one.row.score) for one in rows]
    if circular:
        whole = _rotations_together(whole, benchmark.name)
    return Scored(
        benchmark=benchmark.name,
        kind=benchmark.kind,
        circular=circular,
        rules=rules.name,
        table_sha256=table.sha256,
        rows=tuple(one.row for one in rows),
        groups=_groups(whole) if circular else (),
        report=(
            detection_report(rows)
            if benchmark.kind == "yes_no"
            else counted_report(rows, whole, circular=circular)
        ),
        notes=(*table.notes, *(_left_out(rows, whole) if circular else ())),
    )


def _check(table: Table, predictions: Mapping[int, str]) -> None:
    """Refuse answers that are not exactly those of the table's questions."""
    name, asked = table.benchmark.name, {question.index for question in table.questions}
    if missing := sorted(asked - predictions.keys()):
        raise MissingPredictionsError(
            f"{len(missing)} of the {len(asked)} rows of {name} have no prediction (index "
            f"{_first(missing)}). Answer them first: a score over a part of a benchmark cannot be "
            "compared with any other."
        )
    if foreign := sorted(predictions.keys() - asked):
        raise ForeignPredictionsError(
            f"{len(foreign)} predictions are of rows that {name} does not have, or does not ask "
            f"because they have no image (index {_first(foreign)}). Give the table that the "
            f"questions were taken from, and predictions of its {len(asked)} rows alone."
        )


def _first(indices: Sequence[int]) -> str:
    rest = ", …" if len(indices) > _SHOWN else ""
    return ", ".join(map(str, indices[:_SHOWN])) + rest


def _judge(
    table: Table, predictions: Mapping[int, str], rules: RuleSet, capped: frozenset[int]
) -> list[Judged]:
    """Read and judge all answers, by index."""
    benchmark = table.benchmark
    yes_no = benchmark.kind == "yes_no"
    judged = []
    for question in sorted(table.questions, key=lambda question: question.index):
        prediction = predictions[question.index]
        extracted, worth = _read(question, prediction, benchmark.kind, rules)
        row = ScoredRow(
            index=question.index,
            prediction=prediction,
            extracted=extracted,
            score=worth,
            cluster=str(question.group) if benchmark.cluster == "group" else question.image,
            capped=question.index in capped,
            truth=question.answer if yes_no else None,
            weight=max(1, len(question.categories)) if yes_no else 1,
        )
        judged.append(Judged(question, row))
    return judged


def _read(
    question: Question, prediction: str, kind: Kind, rules: RuleSet
) -> tuple[str | None, float]:
    """Return what an answer says, and what it is worth."""
    if kind == "vqa":
        words = normalised(prediction, rules)
        annotators = [normalised(answer, rules) for answer in question.answers]
        return words, agreement(words, annotators)
    said = (
        choice(prediction, question.options, rules)
        if kind == "mcq"
        else yes_or_no(prediction, rules)
    )
    return said, float(said == question.answer)


def _rotations_together(rows: Sequence[Counted], name: str) -> list[Counted]:
    """Return the circular questions: each is right if all its rotations are.

    As in VLMEvalKit, a question counts if its first row, the one that is not rotated, is there;
    categories are those of that row.
    """
    worst: dict[int, float] = {}
    for row in rows:
        group = row.question.group
        worst[group] = min(row.score, worst.get(group, 1.0))
    whole = [
        Counted(row.question, worst[row.question.index])
        for row in rows
        if row.question.group == row.question.index
    ]
    if not whole:
        raise NotCircularError(
            f"{name} is to be counted as circular, but none of its {len(rows)} rows has an index "
            f"below {ROTATION:,}, which marks the row that the others are rotations of. Score "
            "single rows instead (--no-circular)."
        )
    return whole


def _groups(whole: Sequence[Counted]) -> tuple[ScoredGroup, ...]:
    return tuple(ScoredGroup(group=one.question.index, score=one.score) for one in whole)


def _left_out(rows: Sequence[Judged], whole: Sequence[Counted]) -> tuple[str, ...]:
    """Say which questions do not count because their first row is not there."""
    lost = {one.question.group for one in rows} - {one.question.index for one in whole}
    if not lost:
        return ()
    note = (
        f"{len(lost)} questions do not count, because only rotations of them are in the table "
        f"(index modulo {ROTATION:,}: {_first(sorted(lost))}); VLMEvalKit leaves them out, too."
    )
    return (note,)
