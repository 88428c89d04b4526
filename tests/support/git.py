"""git itself, as the judge of what was written."""

import subprocess
from pathlib import Path


def git(repository: Path, *arguments: str) -> str:
    """Run git on a bare repository, and return what it prints."""
    done = subprocess.run(
        ["git", "--git-dir", str(repository), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


def require_sound(repository: Path) -> None:
    """Require that git finds nothing wrong; objects that nothing refers to are not wrong."""
    git(repository, "fsck", "--strict", "--no-dangling")
