"""What the bars on the pages of runs say: how far a segment is, and how far a model's answers."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from prefect.context import FlowRunContext, TaskRunContext

from tasks.evalspecs import TableRef
from tasks.moving import Moving, Position, Reading, moving
from tasks.progress import AnswerEvent, Event, ProgressEvent, in_words
from tasks.specs import SegmentPlan
from tasks.telling import ProgressBar, artifact_key


def blocks_moving(plan: SegmentPlan) -> AbstractContextManager[Moving]:
    """Keep a bar where the blocks of ``plan`` are."""
    key = artifact_key("segment", plan.variant, str(plan.first_block + 1))
    return _on_the_page(ProgressBar(key, f"Tuning {plan.title}"), reading_blocks(plan))


def block_done(plan: SegmentPlan, block: int) -> Position:
    """Return where a segment is behind ``block``: one from the store has told nothing itself."""
    words = f"block {block + 1} of {plan.blocks} is done"
    return Position(_percent(block + 1 - plan.first_block, plan), words)


def reading_blocks(plan: SegmentPlan) -> Reading:
    """Return what finds the place of a segment in an event."""

    def read(event: Event) -> Position | None:
        if not isinstance(event, ProgressEvent) or event.variant != plan.variant:
            return None
        if not plan.first_block <= event.block < plan.end_block:
            return None  # of another segment, in this process
        done = event.block - plan.first_block + event.iteration / event.iters
        return Position(_percent(done, plan), in_words(event))

    return read


def answers_moving(
    title: str, subject: str, tables: Sequence[TableRef], limit: int | None
) -> AbstractContextManager[Moving]:
    """Keep a bar where the answers of ``subject`` are, as long as the block runs.

    Args:
        title: What it is doing.
        subject: The model, as its events call it.
        tables: What it is asked, in this order.
        limit: Questions of each table, at most.
    """
    bar = ProgressBar(artifact_key(title), title)
    return _on_the_page(bar, reading_answers(subject, tables, limit))


def reading_answers(subject: str, tables: Sequence[TableRef], limit: int | None) -> Reading:
    """Return what finds the place of a model's answers in an event.

    Benchmarks come one after the other, and count by their questions.
    """
    questions = {
        table.benchmark.name: table.questions if limit is None else min(table.questions, limit)
        for table in tables
    }

    def read(event: Event) -> Position | None:
        if not isinstance(event, AnswerEvent) or event.subject != subject:
            return None
        if event.benchmark not in questions:
            return None
        percent = 100.0 * _answered(questions, event) / sum(questions.values())
        return Position(percent, f"{event.benchmark}, {in_words(event)}")

    return read


def _on_the_page(bar: ProgressBar, read: Reading) -> AbstractContextManager[Moving]:
    """Keep ``bar`` moving on the page of the run in hand; a step outside of any has no page."""
    if FlowRunContext.get() is None and TaskRunContext.get() is None:
        return nullcontext(Moving(read))
    return moving(bar.show, read)


def _answered(questions: Mapping[str, int], event: AnswerEvent) -> float:
    """Return how many questions are answered: all of earlier benchmarks, and some of this one."""
    names = list(questions)
    earlier = sum(questions[name] for name in names[: names.index(event.benchmark)])
    return earlier + questions[event.benchmark] * event.done / max(event.total, 1)


def _percent(blocks: float, plan: SegmentPlan) -> float:
    return 100.0 * blocks / (plan.end_block - plan.first_block)
