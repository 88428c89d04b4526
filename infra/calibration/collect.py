"""Draw a calibration set: exactly `nsamples` samples, or an error that says what there was.

Rows are visited in an order that depends on the seed alone, each at most once, until the set is
full.  Only what is chosen is kept in memory.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from infra.calibration.conversations import draw_conversation, open_processor
from infra.calibration.hub import HUB_ID, open_hub
from infra.calibration.known import KNOWN
from infra.calibration.local import READABLE, open_local
from infra.calibration.outcome import Drawn, Skipped
from infra.calibration.report import CalibrationReport, histogram, versions
from infra.calibration.rows import Row, RowSet, shuffled
from infra.calibration.sample import CalibrationSet, digest
from infra.calibration.spec import CalibrationSpec
from infra.calibration.text import draw_text, open_tokenizer
from infra.errors import BadRowError, CalibrationSourceError, TooFewSamplesError


class Maker(NamedTuple):
    """How a row becomes samples, and the class of transformers that does it."""

    make: Callable[[Row], Sequence[Drawn] | Skipped]
    processor: str


@dataclass(slots=True)
class _Draw:
    """What has been drawn so far."""

    drawn: list[Drawn] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    longest_skipped: int = 0
    visited: int = 0


def collect(spec: CalibrationSpec, model_dir: Path) -> CalibrationSet:
    """Draw ``spec.nsamples`` samples as the model in ``model_dir`` will read them.

    Args:
        spec: What is asked for.
        model_dir: Folder with the model's tokenizer and processor files; weights are not read.

    Returns:
        The samples and their report.  The same files and spec give the same bytes.

    Raises:
        CalibrationSourceError: The source is missing, empty or unreadable.
        BadRowError: A visited row or picture is broken and ``spec.skip_bad_rows`` is off.
        TooFewSamplesError: Fewer usable rows than ``spec.nsamples``.
        ProcessorError: The model folder lacks a working tokenizer or processor.
    """
    maker = _maker(spec, model_dir)  # first: it is cheap, and a download is not
    rows = open_rows(spec)
    draw = _draw(rows, maker, spec)
    if len(draw.drawn) < spec.nsamples:
        raise _too_few(spec, draw, len(rows))
    return _finished(spec, rows, draw, maker.processor)


def open_rows(spec: CalibrationSpec) -> RowSet:
    """Open the source of ``spec``: what exists here, or else a data set on the Hub.

    Raises:
        CalibrationSourceError: It is neither, or cannot be read.
    """
    path = Path(spec.source).expanduser()
    if path.exists():
        return open_local(spec)
    if path.suffix.lower() in READABLE or not HUB_ID.fullmatch(spec.source):
        raise CalibrationSourceError(
            f"There is no file or folder {spec.source!r}, and it is no id of a data set on the Hub "
            f"('owner/name') either. Check the path; sets with a short name are {sorted(KNOWN)}."
        )
    return open_hub(spec)


def image_folders(spec: CalibrationSpec) -> tuple[Path, ...]:
    """Return where pictures are looked for, in order.

    Raises:
        CalibrationSourceError: ``spec.images`` is given and is no folder.
    """
    if spec.images is not None:
        folder = Path(spec.images).expanduser()
        if not folder.is_dir():
            raise CalibrationSourceError(
                f"images={spec.images!r} is no folder. Give the folder that the 'image' of each "
                "row is relative to, as in 'coco/train2017'."
            )
        return (folder,)
    source = Path(spec.source).expanduser()
    if not source.exists():
        return ()
    base = source if source.is_dir() else source.parent
    return (base, base / "images")


def _maker(spec: CalibrationSpec, model_dir: Path) -> Maker:
    if spec.kind == "text":
        tokenizer = open_tokenizer(model_dir)
        return Maker(lambda row: draw_text(row, spec, tokenizer), type(tokenizer).__name__)
    encoder, folders = open_processor(model_dir), image_folders(spec)
    return Maker(
        lambda row: draw_conversation(row, spec, encoder, folders),
        type(encoder.processor).__name__,
    )


def _draw(rows: RowSet, maker: Maker, spec: CalibrationSpec) -> _Draw:
    draw = _Draw()
    for index in shuffled(len(rows), spec.seed):
        if len(draw.drawn) >= spec.nsamples:
            break
        draw.visited += 1
        try:
            made = maker.make(rows.row(index))
        except BadRowError as error:
            if not spec.skip_bad_rows:
                raise
            made = Skipped(error.reason, 0)
        if isinstance(made, Skipped):
            draw.skipped[made.reason] += 1
            draw.longest_skipped = max(draw.longest_skipped, made.length)
        else:
            draw.drawn.extend(made[: spec.nsamples - len(draw.drawn)])
    return draw


def _too_few(spec: CalibrationSpec, draw: _Draw, rows: int) -> TooFewSamplesError:
    have = len(draw.drawn)
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(draw.skipped.items()))
    longest = f"; the longest of these has {draw.longest_skipped} tokens"
    fewer = f"Ask for nsamples={have} or fewer, " if have else "Ask "
    return TooFewSamplesError(
        f"Calibration set {spec.name!r} gives {have} samples, and nsamples={spec.nsamples} were "
        f"asked for. {spec.source} has {rows} rows; {sum(draw.skipped.values())} were skipped"
        f"{f' ({reasons}{longest if draw.longest_skipped else str()})' if reasons else ''}, with "
        f"seqlen={spec.seqlen}. {fewer}for a smaller seqlen where rows were too short, or give a "
        "larger set."
    )


def _finished(spec: CalibrationSpec, rows: RowSet, draw: _Draw, processor: str) -> CalibrationSet:
    samples = tuple(drawn.sample for drawn in draw.drawn)
    lengths = [len(sample.input_ids) for sample in samples]
    images = [drawn.image_sha256 for drawn in draw.drawn if drawn.image_sha256 is not None]
    report = CalibrationReport(
        name=spec.name,
        kind=spec.kind,
        origin=rows.origin,
        nsamples=len(samples),
        seqlen=spec.seqlen,
        seed=spec.seed,
        tokens=sum(lengths),
        lengths=histogram(lengths, spec.seqlen),
        rows_total=len(rows),
        rows_visited=draw.visited,
        row_ids=tuple(drawn.row_id for drawn in draw.drawn),
        skipped=dict(sorted(draw.skipped.items())),
        images=len(images),
        text_only=len(samples) - len(images),
        distinct_images=len(set(images)),
        images_sha256=hashlib.sha256("\n".join(images).encode()).hexdigest() if images else None,
        samples_sha256=digest(samples),
        processor=processor,
        versions=versions(spec.kind),
    )
    return CalibrationSet(samples, report)
