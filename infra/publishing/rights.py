"""Whether a release could be published at all, asked before hours are spent on making it.

Only what is certain to fail later is refused: a fine-grained token tells nobody what it may write
to, and a version that is taken may be taken by the very same files.
"""

from infra.errors import NotAllowedError
from infra.publishing.hub import Hub
from infra.publishing.looking import is_there
from infra.publishing.target import Target

READ_ONLY = "read"


def require_rights(hub: Hub, target: Target) -> tuple[str, ...]:
    """Require that the token is good for writing, and that the repositories are as is wanted.

    Args:
        hub: Where the release is to go.
        target: The repository and the names.

    Returns:
        What a person should know beforehand, in sentences.

    Raises:
        RejectedTokenError: The Hub does not know the token.
        NotAllowedError: It may only read.
        PublicRepositoryError: A repository is public, and the release is to be private.
        HubUnreachableError: The Hub does not answer.
    """
    if hub.role() == READ_ONLY:
        raise NotAllowedError(
            f"The token may only read at {hub.endpoint}, and {target.repo_id} is to be published "
            "there. Give a token that may write, or leave the publish section out (--set "
            "publish=null); nothing was started."
        )
    known: list[str] = []
    for repo_id in target.repositories:
        there = is_there(hub, repo_id, private=target.private)
        tags = hub.refs(repo_id).tags if there else {}
        known += [
            f"{repo_id} has the tag {tag} already; it stays where it is, and a release that "
            "differs from it will be refused"
            for tag in (target.version, target.gptq_tag)
            if tag in tags
        ]
    return tuple(known)
