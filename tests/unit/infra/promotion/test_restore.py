"""The export comes out of a published revision as it went in, or not at all."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from infra.checkpoints import inspect
from infra.errors import CandidateError
from infra.models.source import digest_of
from infra.promotion.restore import provenance, restore
from quantcore.grid import IntGrid
from tests.support.exports import write_export


@pytest.fixture(scope="module")
def export(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an export; read it, never write into it."""
    folders = write_export(tiny_model, tmp_path_factory.mktemp("export"), IntGrid())
    return folders["auto_round"]


@pytest.fixture
def revision(export: Path, tmp_path: Path) -> Path:
    """Return the export as a repository holds it, among papers of that repository."""
    folder = tmp_path / "revision"
    shutil.copytree(export, folder)
    (folder / "README.md").write_text("# A card of the staging repository\n")
    (folder / "release.json").write_text("{}\n")
    (folder / "SHA256SUMS").write_text("made anew\n")
    (folder / ".gitattributes").write_text("*.safetensors filter=lfs\n")
    return folder


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def rewrite(revision: Path, change: dict[str, Any]) -> None:
    """Change what the revision's export tells of itself."""
    path = revision / "roundhouse.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def test_what_comes_out_is_the_export_byte_for_byte(
    revision: Path, export: Path, tmp_path: Path
) -> None:
    """Its digest is that of the export, so that answers given for it are found again."""
    restore(revision, tmp_path / "out")

    assert bytes_of(tmp_path / "out") == bytes_of(export)
    assert digest_of(tmp_path / "out") == digest_of(export)
    assert inspect(tmp_path / "out").problems == ()


def test_a_file_that_was_changed_is_refused(revision: Path, tmp_path: Path) -> None:
    """What was verified once is not what lies there now."""
    path = revision / "config.json"
    path.write_bytes(path.read_bytes() + b"\n")

    with pytest.raises(
        CandidateError, match=r"config.json of the candidate has SHA-256 .* changed"
    ):
        restore(revision, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_missing_is_named(revision: Path, tmp_path: Path) -> None:
    """A candidate is whole."""
    (revision / "tokenizer.json").unlink()

    with pytest.raises(CandidateError, match=r"lacks tokenizer\.json"):
        restore(revision, tmp_path / "out")


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", "SHA256SUMS", ""])
def test_a_path_never_leaves_its_folder(revision: Path, tmp_path: Path, name: str) -> None:
    """What a repository says is not trusted."""
    rewrite(revision, {"files": {name: {"sha256": "0" * 64}}})

    with pytest.raises(CandidateError, match=r"lists the file .* no file of an export"):
        restore(revision, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"files": {}}', b'{"files": 3}', b"{}"])
def test_a_revision_that_is_no_export_is_refused(
    revision: Path, tmp_path: Path, content: bytes
) -> None:
    """Somebody's own model, or a damaged file."""
    (revision / "roundhouse.json").write_bytes(content)

    with pytest.raises(CandidateError, match=r"roundhouse\.json"):
        restore(revision, tmp_path / "out")


def test_a_repository_without_provenance_is_refused(tmp_path: Path) -> None:
    """The message says what to tag instead."""
    with pytest.raises(CandidateError, match=r"no export of Roundhouse\. Tag a revision that"):
        provenance(tmp_path)
