"""The table of a model card: an average and one row a benchmark, the 16-bit model and each variant.

A number without its interval invites to read noise, so a variant's cell holds its difference from
the 16-bit column and how far chance could have moved it.  The average is that of the unrounded
rows: 79.64, 83.88, 84.28 and 87.57 give 83.84, whatever is printed elsewhere.
"""

from collections.abc import Iterable, Mapping, Sequence

from pydantic import Field

from infra.errors import ComparisonError, DifferentBaselinesError
from infra.evaluation.compared import AverageComparison, Comparison, TaskComparison
from infra.evaluation.scored import Scored
from infra.evaluation.statistics import average
from infra.evaluation.value import Value
from infra.evaluation.wording import DOWN, UP, signed, span

AVERAGE, TASK = "avg", "task"
BASELINE = "16bits"


class Cell(Value):
    """One number, in points, with what it differs by from the baseline's."""

    overall: float = Field(description="The number.")
    difference: float | None = Field(default=None, description="From the baseline's.")
    low: float | None = Field(default=None, description="Lower end of its 95 % interval.")
    high: float | None = Field(default=None, description="Upper end of it.")

    @property
    def text(self) -> str:
        """As a reader sees it."""
        if self.difference is None or self.low is None or self.high is None:
            return f"{self.overall:.2f}"
        interval = span(self.low, self.high, 1)
        return f"{self.overall:.2f} ({signed(self.difference, 2)}, 95% {interval})"


class FlipCell(Value):
    """Percent of answers that changed between right and wrong."""

    down: float = Field(description="Right to wrong.")
    up: float = Field(description="Wrong to right.")

    @property
    def text(self) -> str:
        """As a reader sees it."""
        return f"{self.down + self.up:.1f}% ({DOWN}{self.down:.1f} {UP}{self.up:.1f})"


class Column(Value):
    """One model."""

    name: str = Field(description="16bits, or the name of the variant.")
    cells: tuple[Cell, ...] = Field(description="The average, then one a benchmark.")
    flips: tuple[FlipCell, ...] = Field(default=(), description="One a benchmark; variants only.")


class ResultsTable(Value):
    """What a release is read by."""

    tasks: tuple[str, ...] = Field(min_length=1, description="Names of the benchmarks.")
    columns: tuple[Column, ...] = Field(min_length=1, description="One a model.")
    footnote: str = Field(description="Under which conditions all of it was measured.")

    def rows(self) -> list[dict[str, str]]:
        """Return one record a row: the average, then the benchmarks."""
        return [
            {TASK: name} | {column.name: column.cells[place].text for column in self.columns}
            for place, name in enumerate((AVERAGE, *self.tasks))
        ]

    def flip_rows(self) -> list[dict[str, str]]:
        """Return one record a benchmark; none where nothing is compared."""
        variants = [column for column in self.columns if column.flips]
        return [
            {TASK: name} | {column.name: column.flips[place].text for column in variants}
            for place, name in enumerate(self.tasks)
            if variants
        ]

    def markdown(self) -> str:
        """Return both tables, and under which conditions they hold."""
        parts = [_markdown(self.rows())]
        if flips := self.flip_rows():
            parts += [
                f"Answers that changed ({DOWN} right to wrong, {UP} wrong to right):",
                _markdown(flips),
            ]
        return "\n\n".join([*parts, self.footnote]) + "\n"


def results(comparisons: Mapping[str, Comparison], *, engine: str) -> ResultsTable:
    """Put variants side by side with the model that all of them are compared with.

    Args:
        comparisons: By the name of the variant, at least one, all with the same baseline.
        engine: What answered, with version and precision, for the footnote.

    Raises:
        DifferentBaselinesError: The comparisons are not with one baseline, or there are none.
        ComparisonError: A variant has the name of another column.
    """
    first = _common(comparisons)
    before = [_plain(side.overall) for side in (task.baseline for task in first.tasks)]
    baseline = Column(name=BASELINE, cells=(_plain(first.average.baseline), *before))
    sizes = [(task.benchmark, task.rows, _questions(task)) for task in first.tasks]
    footnote = _footnote(first.rules, engine, sizes)
    return ResultsTable(
        tasks=tuple(task.benchmark for task in first.tasks),
        columns=(baseline, *(_variant(name, one) for name, one in comparisons.items())),
        footnote=f"{footnote} Differences are paired by question; intervals are of a clustered "
        f"bootstrap ({first.resamples:,} resamples, seed {first.seed}).",
    )


def scores(models: Mapping[str, Mapping[str, Scored]], *, engine: str) -> ResultsTable:
    """Put plain scores side by side, where there is no baseline to compare them with.

    Args:
        models: What each model's answers are worth, by name and benchmark.
        engine: What answered, with version and precision, for the footnote.

    Raises:
        ComparisonError: There are none, or they are not of the same benchmarks, rows and rules.
    """
    first = next(iter(models.values()), {})
    if not first or any(_asked(tasks) != _asked(first) for tasks in models.values()):
        raise ComparisonError(
            f"The scores of {', '.join(models) or 'no model'} are not of the same benchmarks, rows "
            "and rules, at least one, so that they make no table. Evaluate all on the same ones."
        )
    rules = ", ".join(sorted({one.rules for one in first.values()}))
    sizes = [(name, len(one.rows), len(one.groups)) for name, one in first.items()]
    return ResultsTable(
        tasks=tuple(first),
        columns=tuple(_scores(name, tasks.values()) for name, tasks in models.items()),
        footnote=_footnote(rules, engine, sizes),
    )


def _common(comparisons: Mapping[str, Comparison]) -> Comparison:
    """Return the first comparison, for what all of them share."""
    if not comparisons:
        raise DifferentBaselinesError(
            "There is no comparison to show. Compare at least one variant with its 16-bit model."
        )
    if taken := {BASELINE, TASK} & comparisons.keys():
        raise ComparisonError(
            f"A variant is called {min(taken)!r}, as another column of the table is. Give it "
            "another name."
        )
    (name, first), *others = comparisons.items()
    for other, comparison in others:
        if _shared(comparison) != _shared(first):
            raise DifferentBaselinesError(
                f"{name} and {other} are compared with different baselines, or by different rules, "
                "so that they do not fit into one table. Compare both with one result of one model."
            )
    return first


def _shared(comparison: Comparison) -> tuple[str, list[tuple[str, str, int, float]]]:
    """Return what is the same in all comparisons of one table."""
    return comparison.rules, [
        (task.benchmark, task.table_sha256, task.rows, task.baseline.overall)
        for task in comparison.tasks
    ]


def _variant(name: str, comparison: Comparison) -> Column:
    return Column(
        name=name,
        cells=(
            _compared(comparison.average, comparison.average.candidate),
            *(_compared(task, task.candidate.overall) for task in comparison.tasks),
        ),
        flips=tuple(
            FlipCell(down=task.flips.down_rate, up=task.flips.up_rate) for task in comparison.tasks
        ),
    )


def _scores(name: str, tasks: Iterable[Scored]) -> Column:
    numbers = [one.report.overall for one in tasks]
    return Column(name=name, cells=tuple(map(_plain, (average(numbers), *numbers))))


def _asked(tasks: Mapping[str, Scored]) -> list[tuple[str, str, str, list[int]]]:
    """Return what models must share for their scores to stand side by side."""
    return [
        (name, one.table_sha256, one.rules, [row.index for row in one.rows])
        for name, one in tasks.items()
    ]


def _plain(overall: float) -> Cell:
    return Cell(overall=overall)


def _compared(one: AverageComparison | TaskComparison, overall: float) -> Cell:
    interval = one.interval
    return Cell(overall=overall, difference=one.difference, low=interval.low, high=interval.high)


def _questions(task: TaskComparison) -> int:
    return task.flips.units if task.circular else 0


def _footnote(rules: str, engine: str, sizes: Sequence[tuple[str, int, int]]) -> str:
    """Say by which rules, by what, and from how many rows (of circular questions) it came."""
    rows = ", ".join(
        f"{name} {rows:,}{f' ({questions:,} circular questions)' if questions else ''}"
        for name, rows, questions in sizes
    )
    return (
        f"Rules {rules}, no judge model; answered by {engine}; rows: {rows}. "
        f"{AVERAGE} is the mean of the unrounded rows."
    )


def _markdown(rows: Sequence[Mapping[str, str]]) -> str:
    """Return records as a table; a vertical bar in a name does not end its cell."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )
