"""Which processes there are, and whose children they are."""

from pathlib import Path

PROC = Path("/proc")


def processes() -> list[int]:
    """Return the numbers of all living processes."""
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdecimal()]


def children_of(pid: int) -> list[int]:
    """Return the numbers of a process's living children."""
    return [child for child in processes() if parent_of(child) == pid]


def descendants_of(pid: int) -> list[int]:
    """Return the numbers of a process's living children, and of theirs."""
    found = children_of(pid)
    return found + [deeper for child in found for deeper in descendants_of(child)]


def environment_of(pid: int) -> dict[str, str]:
    """Return the environment that a process was started with; nothing if it is gone."""
    try:
        pairs = (PROC / str(pid) / "environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return {}
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def command_of(pid: int) -> str:
    """Return the command line of a process; nothing if it is gone."""
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().split(bytes(1))
    except OSError:
        return ""
    return b" ".join(words).decode(errors="replace")


def parent_of(pid: int) -> int | None:
    """Return the number of a living process's parent."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[1])
