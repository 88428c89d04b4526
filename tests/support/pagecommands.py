"""The commands of a documentation page, each block with the comment that says who runs it."""

import re
from pathlib import Path
from typing import NamedTuple

_BLOCK = re.compile(
    r"(?:<!-- (?P<mark>[^\n]*) -->\n)?```(?:bash|console|sh)\n(?P<text>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
_ELSEWHERE = re.compile(r'elsewhere: (?P<path>\S+)(?P<words>(?: "[^"]+")+)')


class Block(NamedTuple):
    """One block of commands."""

    mark: str  # what its comment says; empty: there is none
    text: str

    @property
    def elsewhere(self) -> tuple[Path, list[str]] | None:
        """The file that runs it instead, and words of it that must be there."""
        match = _ELSEWHERE.fullmatch(self.mark)
        return match and (Path(match["path"]), re.findall(r'"([^"]+)"', match["words"]))


def blocks_of(page: str) -> tuple[Block, ...]:
    """Return the blocks of commands in a page, in order."""
    return tuple(Block(found["mark"] or "", found["text"]) for found in _BLOCK.finditer(page))
