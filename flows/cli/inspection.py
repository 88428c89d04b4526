"""`roundhouse inspect`: what a checkpoint holds, for people or for programs."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from flows.cli.exits import Exit
from infra.checkpoints import CheckpointReport, inspect

MIB = 1 << 20


def show(folder: Path, *, as_json: bool, check_digests: bool) -> Exit:
    """Print the report of ``folder``; an unsound checkpoint is an error of its own.

    Raises:
        NotACheckpointError: There is no checkpoint.
    """
    report = inspect(folder, check_digests=check_digests)
    console = Console(soft_wrap=True, highlight=False)
    if as_json:
        print(report.model_dump_json(indent=2))  # noqa: T201 -- this is the output
    else:
        console.print(_table(report))
        for problem in report.problems:
            console.print(f"- {problem}", markup=False)
        console.print("sound" if report.sound else f"NOT sound: {len(report.problems)} problems")
    return Exit.OK if report.sound else Exit.VERIFICATION


def _table(report: CheckpointReport) -> Table:
    scheme = (
        "16-bit weights"
        if report.bits is None
        else f"{report.bits} bits, group size {report.group_size}, "
        f"{'symmetric' if report.sym else 'asymmetric'}"
    )
    digests = {None: "no SHA256SUMS, or not asked", True: "agree", False: "DIFFER"}
    rows = {
        "folder": str(report.folder),
        "architecture": report.architecture,
        "format": report.format,
        "weights": scheme,
        "quantized layers": str(report.quantized_modules),
        "tensors": f"{report.tensors} ({_counts(report.dtypes)})",
        "size": f"{report.tensor_bytes / MIB:.1f} MiB of tensors in {len(report.files)} files",
        "digests": digests[report.digests_agree],
    }
    table = Table(show_header=False, box=None)
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {dtype}" for dtype, count in sorted(counts.items()))
