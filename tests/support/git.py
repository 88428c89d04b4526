"""git itself, as the judge of what was written."""

import subprocess
from pathlib import Path


def git(repository: Path, *arguments: str) -> str:
    """Run git on a bare repository, and return what it prints."""
    return git_bytes(repository, *arguments).decode()


def git_bytes(repository: Path, *arguments: str) -> bytes:
    """Run git on a bare repository, and return what it prints, which need not be text."""
    done = subprocess.run(
        ["git", "--git-dir", str(repository), *arguments],  # noqa: S607 -- wherever git is
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode() or done.stdout.decode()
    return done.stdout


def require_sound(repository: Path) -> None:
    """Require that git finds nothing wrong; objects that nothing refers to are not wrong."""
    git(repository, "fsck", "--strict", "--no-dangling")
