"""What a release says about itself: the card and what lies beside it, as the publisher sees them.

A commit cannot contain its own digits.  So the papers of the GPTQ revision name its tag, and those
of the auto_round revision, which is published last, name the GPTQ commit itself.
"""

from collections.abc import Mapping
from typing import Protocol

from infra.publishing.pinned import Pinned
from infra.publishing.target import Target


class Papers(Protocol):
    """Files by path, README.md among them.

    Implementations are pure: the same arguments give the same bytes, or a release that is
    published a second time would not be recognized as the one that is there.
    """

    def beside_gptq(self, target: Target) -> Mapping[str, bytes]:
        """Return the papers of the GPTQ revision; they name it by `target.gptq_tag`."""
        ...

    def beside_auto_round(self, target: Target, gptq: Pinned) -> Mapping[str, bytes]:
        """Return the papers of the auto_round revision; they name the GPTQ one as ``gptq``."""
        ...
