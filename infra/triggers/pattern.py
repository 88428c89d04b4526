"""Which tags ask for a release, and of which version.

A pattern such as ``release/*`` has words of its own around one star, because a release sets tags
itself: ``v1.2.0`` must never look like a wish for another release.
"""

import re
from typing import NamedTuple, Self

from infra.errors import TagPatternError

_VERSION = re.compile(r"v[0-9][\w.+-]*", re.ASCII)  # also what a release calls its own tags


class TagPattern(NamedTuple):
    """What stands before and after the version."""

    before: str
    after: str

    @classmethod
    def parse(cls, pattern: str) -> Self:
        """Read a pattern.

        Raises:
            TagPatternError: It has no star or several, or would take a release's own tags for
                wishes.
        """
        if pattern.count("*") != 1:
            raise TagPatternError(
                f"The tag pattern {pattern!r} has {pattern.count('*')} stars; give it one, which "
                "stands for the version, as in release/*."
            )
        before, _, after = pattern.partition("*")
        if not before or _VERSION.match(f"{before}0") is not None or re.search(r"\s", pattern):
            raise TagPatternError(
                f"The tag pattern {pattern!r} would match the tags that a release sets itself "
                "(v1.0.0), and so start another; begin it with a word of its own, as in release/*."
            )
        return cls(before, after)

    def version(self, tag: str) -> str | None:
        """Return the version that ``tag`` asks for, as in v1.2.0; None: it asks for nothing.

        The ``v`` may be left out in the tag: release/1.2.0 and release/v1.2.0 ask for the same.
        """
        if not (tag.startswith(self.before) and tag.endswith(self.after)):
            return None
        middle = tag[len(self.before) : len(tag) - len(self.after)]
        version = middle if middle.startswith("v") else f"v{middle}"
        return version if _VERSION.fullmatch(version) and ".." not in version else None

    def required(self, tag: str) -> str:
        """Return the version that ``tag`` asks for.

        Raises:
            TagPatternError: It asks for nothing.
        """
        version = self.version(tag)
        if version is None:
            raise TagPatternError(
                f"The tag {tag!r} asks for no release: {self.before}*{self.after} does, with a "
                f"version for the star, as in {self.tag('v1.0.0')}."
            )
        return version

    def tag(self, version: str) -> str:
        """Return the tag that asks for ``version``."""
        return f"{self.before}{version}{self.after}"
