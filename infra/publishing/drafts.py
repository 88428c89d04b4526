"""The two revisions of a release, as they are to be: files, papers and sums, before any Hub."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from infra.checkpoints.sidefiles import SIGNATURE, SUMS
from infra.publishing.manifest import (
    Known,
    Manifest,
    measure,
    of_bytes,
    with_sums,
    without,
)
from infra.publishing.ownership import require_export
from infra.publishing.papers import Papers
from infra.publishing.pinned import SHORT_DIGITS, Pinned
from infra.publishing.published import Content
from infra.publishing.put import Place
from infra.publishing.target import Target

NOWHERE = "0" * 40  # the digits of a commit that is not there yet


class Draft(NamedTuple):
    """A revision that is to be on the Hub."""

    place: Place
    tag: str
    files: Manifest  # without a signature
    title: str  # of its commit


def gptq_draft(target: Target, content: Content, papers: Papers, known: Known) -> Draft:
    """Return the GPTQ revision.

    Raises:
        NotAnExportError: The folder is no export, or there is no card.
        StorageError: A file cannot be read.
    """
    return Draft(
        Place(*target.gptq_place),
        target.gptq_tag,
        _files(content.auto_gptq, papers.beside_gptq(target), known),
        f"{target.version}: auto_gptq",
    )


def main_draft(
    target: Target, content: Content, papers: Papers, gptq: Pinned, known: Known
) -> Draft:
    """Return the auto_round revision, whose card names the GPTQ one.

    Raises:
        NotAnExportError: The folder is no export, or there is no card.
        StorageError: A file cannot be read.
    """
    return Draft(
        Place(target.repo_id, target.branch),
        target.version,
        _files(content.auto_round, papers.beside_auto_round(target, gptq), known),
        f"{target.version}: auto_round and the card",
    )


def not_there_yet(target: Target) -> Pinned:
    """Return a stand-in for the GPTQ commit, to see what the card would be like."""
    return Pinned(
        repo_id=target.gptq_place[0],
        commit=NOWHERE,
        short=NOWHERE[:SHORT_DIGITS],
        tag=target.gptq_tag,
    )


def _files(folder: Path, papers: Mapping[str, bytes], known: Known) -> Manifest:
    """Return a folder's files and the papers, which win, under sums of their own."""
    found = without(measure(folder, known), SUMS, SIGNATURE)
    files = {**found, **of_bytes(papers)}
    require_export(files, str(folder))
    return with_sums(files)
