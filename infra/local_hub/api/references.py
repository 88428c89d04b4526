"""Branches and tags: list, make, delete; and squash a branch's history."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from infra.local_hub import pointing
from infra.local_hub.announcing import Announce
from infra.local_hub.asking import Readable, Unquoted, Writable, parsed
from infra.local_hub.references import BRANCHES, TAGS
from infra.local_hub.repository import DEFAULT_BRANCH

router = APIRouter()
REPOSITORY = "/api/{kind}/{namespace}/{name}"


class _Branch(BaseModel):
    model_config = ConfigDict(extra="ignore")

    starting_point: str | None = Field(default=None, alias="startingPoint")


class _Tag(BaseModel):
    model_config = ConfigDict(extra="ignore")

    tag: str
    message: str | None = Field(default=None, max_length=65_536)


class _Squash(BaseModel):
    model_config = ConfigDict(extra="ignore")

    message: str = Field(default="Squashed", min_length=1, max_length=4096)


@router.get(REPOSITORY + "/refs")
def listed(reading: Readable) -> dict[str, Any]:
    """List all branches and tags with the commits that they stand for."""
    references = reading.repository.references()
    with reading.repository.objects() as objects:
        rows = {
            prefix: [
                {"name": name, "ref": prefix + name, "targetCommit": objects.peeled(sha) or sha}
                for name, sha in references.below(prefix).items()
            ]
            for prefix in (BRANCHES, TAGS)
        }
    return {
        "branches": rows[BRANCHES], "tags": rows[TAGS], "converts": [], "pullRequests": [],
    }  # fmt: skip


@router.post(REPOSITORY + "/branch/{branch}")
def create_branch(
    writing: Writable,
    announce: Announce,
    branch: Unquoted,
    asked: Annotated[_Branch, Depends(parsed(_Branch))],
) -> dict[str, Any]:
    """Make a branch from any revision."""
    revision = asked.starting_point or DEFAULT_BRANCH
    user = writing.caller.user
    change = pointing.make(writing.repository, BRANCHES + branch, revision, user, None)
    announce.moved(writing, change)
    return {}


@router.delete(REPOSITORY + "/branch/{branch}")
def delete_branch(writing: Writable, announce: Announce, branch: Unquoted) -> dict[str, Any]:
    """Delete a branch."""
    announce.moved(writing, pointing.remove(writing.repository, BRANCHES + branch))
    return {}


@router.post(REPOSITORY + "/tag/{revision}")
def create_tag(
    writing: Writable,
    announce: Announce,
    revision: Unquoted,
    asked: Annotated[_Tag, Depends(parsed(_Tag))],
) -> dict[str, Any]:
    """Tag a revision; with a message the tag is an object of its own, as in git."""
    user = writing.caller.user
    change = pointing.make(writing.repository, TAGS + asked.tag, revision, user, asked.message)
    announce.moved(writing, change)
    return {}


@router.delete(REPOSITORY + "/tag/{tag}")
def delete_tag(writing: Writable, announce: Announce, tag: Unquoted) -> dict[str, Any]:
    """Delete a tag."""
    announce.moved(writing, pointing.remove(writing.repository, TAGS + tag))
    return {}


@router.post(REPOSITORY + "/super-squash/{branch}")
def squash(
    writing: Writable,
    announce: Announce,
    branch: Unquoted,
    asked: Annotated[_Squash, Depends(parsed(_Squash))],
) -> dict[str, Any]:
    """Replace a branch's history by one commit; what was pinned by its digits stays."""
    user = writing.caller.user
    announce.moved(writing, pointing.squash(writing.repository, branch, asked.message, user))
    return {}
