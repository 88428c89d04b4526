"""Files are whole or not there, and a refusal of the operating system says what to do."""

import hashlib
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from infra import files
from infra.errors import DiskFullError, NotWritableError, StorageError


def test_a_file_holds_what_was_written(tmp_path: Path) -> None:
    """Missing folders are made, and no temporary file stays behind."""
    target = tmp_path / "a" / "b" / "note.txt"

    files.write_atomically(target, b"hello")

    assert target.read_bytes() == b"hello"
    assert [target] == list(target.parent.iterdir())


def test_writing_again_replaces_the_whole_file(tmp_path: Path) -> None:
    """A shorter text leaves nothing of the longer one before it."""
    target = tmp_path / "note.txt"

    files.write_atomically(target, b"a long text")
    files.write_atomically(target, b"short")

    assert target.read_bytes() == b"short"


def _write_half(target: Path, interrupt: type[BaseException]) -> None:
    with files.atomic_path(target) as temporary:
        temporary.write_bytes(b"half of the n")
        raise interrupt


@pytest.mark.parametrize("interrupt", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_interrupt_leaves_the_old_file(tmp_path: Path, interrupt: type[BaseException]) -> None:
    """Whatever stops the writer, the file stays as it was and nothing lies beside it."""
    target = tmp_path / "note.txt"
    target.write_bytes(b"old")

    with pytest.raises(interrupt):
        _write_half(target, interrupt)

    assert target.read_bytes() == b"old"
    assert [target] == list(tmp_path.iterdir())


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    """SIGKILL in the middle cannot be tidied up after, but the file itself is never half new."""
    target = tmp_path / "note.txt"
    target.write_bytes(b"old")
    program = (
        "import os, signal, sys; from pathlib import Path; from infra import files\n"
        "with files.atomic_path(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    killed = subprocess.run([sys.executable, "-c", program, str(target)], check=False)

    assert killed.returncode == -9
    assert target.read_bytes() == b"old"


def test_a_path_below_a_file_is_named_with_a_remedy(tmp_path: Path) -> None:
    """A part of the path that is a file is said so, with the path and what to do."""
    (tmp_path / "file").write_bytes(b"")
    target = tmp_path / "file" / "sub" / "note.txt"

    with pytest.raises(NotWritableError, match=r"Not a directory.*Choose a folder") as caught:
        files.write_atomically(target, b"hello")

    assert str(target.parent) in str(caught.value)


def test_a_file_in_place_of_the_folder_is_named_too(tmp_path: Path) -> None:
    """The folder itself being a file is the same mistake, and gets the same answer."""
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(NotWritableError, match="Not a directory"):
        files.make_folder(tmp_path / "file")


def test_a_file_system_that_refuses_is_a_storage_error() -> None:
    """/proc takes no new files, not even from root."""
    with pytest.raises(StorageError, match="/proc"):
        files.write_atomically(Path("/proc/roundhouse/note.txt"), b"hello")


def test_no_room_is_named_with_a_remedy(tmp_path: Path) -> None:
    """Beyond the file-size limit the write fails as on a full disk, and nothing stays behind."""
    program = (
        "import resource, signal, sys; from pathlib import Path; from infra import files\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: files.write_atomically(Path(sys.argv[1]) / 'note.txt', bytes(5000))\n"
        "except files.DiskFullError as error: print(error)\n"
    )

    limited = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], check=True, capture_output=True, text=True
    )

    assert "No room while writing" in limited.stdout
    assert str(tmp_path / "note.txt") in limited.stdout
    assert list(tmp_path.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_full_device_is_a_full_disk() -> None:
    """ENOSPC, here from a device that is always full, becomes the same error."""
    device = Path("/dev/full")

    with pytest.raises(DiskFullError, match="Free space"), files.explaining(device, "writing"):
        device.write_bytes(b"hello")


def test_a_link_shares_the_bytes(tmp_path: Path) -> None:
    """On one file system a link costs no space: both names are one file."""
    (tmp_path / "a").write_bytes(b"shared")

    files.link_or_copy(tmp_path / "a", tmp_path / "b")

    assert (tmp_path / "a").samefile(tmp_path / "b")


def test_a_link_across_file_systems_is_a_copy(tmp_path: Path) -> None:
    """Where a hard link cannot reach, the bytes are copied."""
    source = Path("/proc/self/status")

    files.link_or_copy(source, tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes().startswith(b"Name:")


def test_the_digest_is_sha256(tmp_path: Path) -> None:
    """A file's digest is that of its bytes, across the reading pieces."""
    data = bytes(range(256)) * 9000
    (tmp_path / "a").write_bytes(data)

    assert hashlib.sha256(data).hexdigest() == files.sha256_of(tmp_path / "a")


def test_canonical_json_does_not_depend_on_order() -> None:
    """Equal values give equal bytes, in whichever order their keys were put."""
    assert (
        files.canonical_json({"b": "ü", "a": [1, 2.5, None]})
        == b'{"a":[1,2.5,null],"b":"\xc3\xbc"}'
    )


def test_canonical_json_refuses_what_json_cannot_say() -> None:
    """NaN would be written as a word that no other reader takes."""
    with pytest.raises(ValueError, match="JSON"):
        files.canonical_json({"loss": float("nan")})
