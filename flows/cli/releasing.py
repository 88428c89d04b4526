"""`roundhouse tag | release | rollback | listen`: releases by tag, by hand and as a service."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console

from flows import listening, recipefile
from flows.cli.execute import connected, show_published
from flows.cli.exits import Exit
from flows.cli.session import Session
from flows.errors import RecipeError
from flows.listening import Address
from flows.release import ReleaseResult, release_tag
from flows.service.access import WEBHOOK, ensure_webhook_secret, webhook_file
from flows.watched import Answer, answers
from infra.errors import UnknownRevisionError
from infra.publishing.hub import open_hub
from infra.publishing.refs import create_tag
from infra.triggers.pattern import TagPattern
from tasks import credentials
from tasks.push import RollbackRequest, rollback_release

OUTCOMES = {"published": Exit.OK, "held": Exit.HELD, "refused": Exit.REFUSED}


class HubAccess(NamedTuple):
    """Which Hub a command speaks to, and by whose right."""

    endpoint: str | None
    token: str


def tag(repo_id: str, revision: str, name: str, access: HubAccess) -> Exit:
    """Set a tag, which never moves: setting it again on the same commit changes nothing.

    Raises:
        PublishError: The Hub refuses, or the tag is on another commit.
        UnknownRevisionError: The repository has no such revision.
    """
    hub = open_hub(access.endpoint, credentials.token(access.token))
    commit = hub.resolve(repo_id, revision)
    create_tag(hub, repo_id, name, commit)
    _console().print(f"{name} of {repo_id} is at {commit}.", markup=False)
    return Exit.OK


def rollback(repo_id: str, to: str, access: HubAccess, branch: str) -> Exit:
    """Make a branch what a release was, in one commit and without uploading anything.

    Raises:
        PublishError: The Hub refuses, or there is no such release.
    """
    request = RollbackRequest(
        endpoint=access.endpoint, repo_id=repo_id, to=to, branch=branch, token=access.token
    )
    rolled = rollback_release.fn(request)
    _console().print(
        f"{branch} of {repo_id} is {to} again, as {rolled.commit}; all tags are where they were.",
        markup=False,
    )
    return Exit.OK


class Asked(NamedTuple):
    """What the flags of `roundhouse release` say."""

    recipe: str
    tag: str
    repo_id: str | None


def release(asked: Asked, session: Session) -> Exit:
    """Release what a tag names, by hand.

    Raises:
        FlowError: The recipe is wrong, or the server or a verification refuses.
        InfraError: The tag, the model, the data, the Hub or the disk refuses.
    """
    name = recipefile.absolute(asked.recipe)
    answer = _watched(answers([name], session.workspace.absolute()), asked)
    commit = _commit(answer, asked.tag)
    with connected(session) as workspace:
        result = release_tag(
            answer.watched.repo_id,
            asked.tag,
            commit,
            (name,),
            workspace,
            approve_hold=session.approve_hold,
        )
    assert isinstance(result, ReleaseResult)  # noqa: S101 -- a state's data is what a call returns
    _show(result)
    return OUTCOMES[result.outcome]


def listen(recipes: Sequence[str], address: Address, session: Session) -> Exit:
    """Take notices, look every five minutes, and run the releases that are asked for.

    Raises:
        FlowError: A recipe is wrong, a port is taken, or the server refuses.
    """
    names = [recipefile.absolute(each) for each in recipes]
    known = answers(names, session.workspace.absolute())
    console = _console()
    with connected(session) as workspace:
        secret = ensure_webhook_secret(workspace)
        with listening.receiving(address, secret, known) as at:
            for repo_id, each in known.items():
                console.print(
                    f"Watching {repo_id} ({each.watched.kind}) for {each.watched.pattern}: "
                    f"the recipe {each.recipe.name}.",
                    markup=False,
                )
            where = (
                f"the environment's {WEBHOOK}"
                if os.environ.get(WEBHOOK)
                else webhook_file(workspace)
            )
            console.print(f"Webhooks: POST {at.url}, secret in {where}.", markup=False)
            listening.listen(names, workspace)
    return Exit.OK


def _watched(known: dict[str, Answer], asked: Asked) -> Answer:
    """Return the repository whose tag is meant, where the recipe watches several."""
    if asked.repo_id in known:
        return known[asked.repo_id]
    if asked.repo_id is None and len(known) == 1:
        return next(iter(known.values()))
    raise RecipeError(
        f"{asked.recipe} watches {' and '.join(known)}: say with --repo which of them "
        f"{asked.tag} is a tag of."
    )


def _commit(answer: Answer, tag: str) -> str:
    """Return the commit that a tag names now."""
    TagPattern.parse(answer.watched.pattern).required(tag)
    watched = answer.watched
    hub = open_hub(watched.endpoint, credentials.token(watched.token, required=False))
    commit = hub.refs(watched.repo_id).tags.get(tag)
    if commit is None:
        raise UnknownRevisionError(
            f"{watched.repo_id} at {hub.endpoint} has no tag {tag!r}. Set it with `roundhouse tag "
            f"{watched.repo_id} REVISION {tag}`."
        )
    return commit


def _show(result: ReleaseResult) -> None:
    console = _console()
    if result.revision is None:
        console.print(f"{result.key.words}: {result.outcome} by the gate.", markup=False)
    elif result.published is None:
        console.print(f"{result.key.words} was released before: {result.revision}.", markup=False)
    else:
        show_published(result.published, console)


def _console() -> Console:
    return Console(soft_wrap=True, highlight=False)
