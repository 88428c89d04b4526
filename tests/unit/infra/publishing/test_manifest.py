"""What a folder holds is told as the Hub tells it, and compared file by file."""

import os
import subprocess
from pathlib import Path

import pytest

from infra.errors import StorageError
from infra.publishing.manifest import (
    Known,
    RemoteFile,
    differences,
    measure,
    of_bytes,
    with_sums,
    without,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a few files, one of them below another folder and one empty."""
    (tmp_path / "below").mkdir()
    for name, data in (("a.bin", os.urandom(3 << 20)), ("below/b.txt", b"b\n"), ("empty", b"")):
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_digests_are_those_of_sha256sum_and_git(folder: Path) -> None:
    """Both digests of each file, of one that is larger than a piece, too."""
    files = measure(folder, Known())

    for path, file in files.items():
        sha256 = subprocess.run(
            ["sha256sum", folder / path],  # noqa: S607 -- wherever it is
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()[0]
        blob = subprocess.run(
            ["git", "hash-object", "--no-filters", folder / path],  # noqa: S607 -- as above
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        assert (file.sha256, file.git_sha1) == (sha256, blob)
        assert file.size == (folder / path).stat().st_size
    assert files.keys() == {"a.bin", "below/b.txt", "empty"}


def test_bytes_are_as_files(folder: Path) -> None:
    """What is in memory is told as what is on the disk."""
    data = (folder / "a.bin").read_bytes()

    held = of_bytes({"a.bin": data})["a.bin"]

    assert held[1:] == measure(folder, Known())["a.bin"][1:]


def test_what_clones_and_downloads_bring_along_is_left_out(folder: Path) -> None:
    """A downloaded release measures as the export that it came from."""
    before = measure(folder, Known())
    for name in (".git/HEAD", ".cache/huggingface/x", ".gitattributes", ".gitignore"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")

    assert measure(folder, Known()).keys() == before.keys()


def test_links_are_the_files_that_they_lead_to(folder: Path, tmp_path: Path) -> None:
    """The Hub's cache is a folder of links."""
    linked = tmp_path / "snapshot"
    linked.mkdir()
    (linked / "a.bin").symlink_to(folder / "a.bin")

    found = measure(linked, Known())["a.bin"]

    assert found.sha256 == measure(folder, Known())["a.bin"].sha256


def test_a_shared_file_is_read_once(folder: Path, tmp_path: Path) -> None:
    """Two exports share their shards by hard links; the second is not read again."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "same.bin").hardlink_to(folder / "a.bin")
    known = Known()
    first = measure(folder, known)["a.bin"]
    read = len(known)

    second = measure(other, known)["same.bin"]

    assert len(known) == read
    assert second == first._replace(content=other / "same.bin")


def test_sums_are_of_all_but_themselves_and_the_signature() -> None:
    """Old sums give way; a signature is made after them."""
    files = with_sums(of_bytes({"b": b"b", "a": b"a", "SHA256SUMS": b"old", "model.sig": b"{}"}))

    sums = files["SHA256SUMS"].content
    assert isinstance(sums, bytes)
    assert [line.split("  ")[1] for line in sums.decode().splitlines()] == ["a", "b"]


def test_differences_are_named() -> None:
    """Missing, not of it, of other content; `.gitattributes` is the Hub's own."""
    wanted = of_bytes({"same": b"1", "small": b"2", "large": b"3", "gone": b"4"})
    same, small = wanted["same"], wanted["small"]
    tree = {
        "same": RemoteFile(same.size, None, same.git_sha1),
        "small": RemoteFile(small.size, None, same.git_sha1),
        "large": RemoteFile(1, small.sha256, "0" * 40),
        "more": RemoteFile(1, None, "0" * 40),
        ".gitattributes": RemoteFile(1, None, "0" * 40),
    }

    assert differences(wanted, tree) == (
        "gone is missing",
        "more is not of it",
        "large has other content",
        "small has other content",
    )
    assert differences(without(wanted, "small", "large", "gone"), {"same": tree["same"]}) == ()


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A link that leads nowhere is no file; a folder that is none is an error."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")

    assert measure(tmp_path, Known()).keys() == {"file"}
    with pytest.raises(StorageError):
        measure(tmp_path / "absent", Known())
