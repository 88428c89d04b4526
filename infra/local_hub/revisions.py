"""From a name to a commit: branches, tags, full references, and 7 to 40 digits."""

import re
from typing import NoReturn

from infra.local_hub.objects import Objects
from infra.local_hub.references import BRANCHES, TAGS, References
from infra.local_hub.refusals import no_revision

_DIGITS = re.compile(r"[0-9a-f]{7,40}")
WHOLE = 40


def resolve(revision: str, objects: Objects, references: References) -> str:
    """Return the 40 digits of the commit that a revision names now.

    A tag comes before a branch of the same name, as in git.

    Raises:
        Refusal: It names nothing, or several commits.
    """
    full = [revision] if revision.startswith("refs/") else []
    for ref in (*full, TAGS + revision, BRANCHES + revision):
        if sha := references.get(ref):
            return objects.peeled(sha) or _nothing(revision)
    if not _DIGITS.fullmatch(revision):
        _nothing(revision)
    if len(revision) == WHOLE:
        return revision if objects.peeled(revision) == revision else _nothing(revision)
    found = objects.commits_beginning_with(revision)
    if len(found) > 1:
        raise no_revision(f"{revision} (it begins {len(found)} commits; give more digits)")
    return found[0] if found else _nothing(revision)


def _nothing(revision: str) -> NoReturn:
    raise no_revision(revision)
