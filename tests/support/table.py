"""The table of a campaign: what was killed, when, what it cost."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.campaign import Killed, Outcome

HEAD = (
    "run", "killed", "which", "at second", "blocks begun again", "seconds lost of it",
    "seconds to the next result",
)  # fmt: skip
KEPT = Path("build") / "integration" / "kills.md"


def of(undisturbed: Outcome, outcomes: Sequence[Outcome]) -> str:
    """Return the table as Markdown."""
    rows = [HEAD, ("---",) * len(HEAD)]
    for number, outcome in enumerate(outcomes, start=1):
        rows += [_row(number, kill, outcome) for kill in outcome.killed]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", *_ends(undisturbed, outcomes)])


def keep(text: str) -> None:
    """Write a table into its file; whichever process reports on the tests shows it."""
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    KEPT.write_text(f"{text}\n", encoding="utf-8")


def kept(since: float) -> str | None:
    """Return the table that was kept after a moment in seconds since the epoch, if any."""
    if not KEPT.exists() or KEPT.stat().st_mtime < since:
        return None
    return KEPT.read_text(encoding="utf-8")


def _row(number: int, kill: Killed, outcome: Outcome) -> tuple[str, ...]:
    lost = [block.lost[pid] for block in outcome.blocks for pid in kill.pids if pid in block.lost]
    seconds = f"{sum(lost):.1f}" if lost else "-"
    after = [moment - kill.moment for moment in outcome.results if moment > kill.moment]
    result = f"{min(after):.1f}" if after else "-"
    return str(number), kill.kind, kill.target, f"{kill.at:.1f}", str(len(lost)), seconds, result


def _ends(undisturbed: Outcome, outcomes: Sequence[Outcome]) -> Iterator[str]:
    results = len(undisturbed.results)
    yield f"Undisturbed: {undisturbed.seconds:.0f} s, with {results} results on record."
    for number, outcome in enumerate(outcomes, start=1):
        same = "byte-identical" if outcome.sums == undisturbed.sums else "DIFFERENT"
        again = sum(len(block.lost) for block in outcome.blocks)
        yield (
            f"Run {number}: {len(outcome.killed)} kills, {outcome.seconds:.0f} s, "
            f"{outcome.seconds - undisturbed.seconds:+.0f} s lost, {again} blocks begun again, "
            f"command given {_times(outcome.commands)}, exports {same}."
        )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
