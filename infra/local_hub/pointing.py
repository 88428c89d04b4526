"""Make, remove and squash branches and tags, each under the repository's lock."""

import time

from dulwich.objects import Commit, ObjectID, Tag

from infra.local_hub.names import check_ref
from infra.local_hub.objects import Objects
from infra.local_hub.references import BRANCHES, TAGS, Change, require_unlocked
from infra.local_hub.refusals import Refusal, malformed, no_revision
from infra.local_hub.repository import DEFAULT_BRANCH, Repository, signed_commit
from infra.local_hub.revisions import resolve


def make(repository: Repository, ref: str, revision: str, user: str, message: str | None) -> Change:
    """Point a new reference at a revision; a message makes it an annotated tag.

    Raises:
        Refusal: Its name is none, it is there already, or the revision is not.
        StorageError: It cannot be written.
    """
    check_ref(ref)
    with repository.locked(), repository.objects() as objects:
        references = repository.references()
        commit = resolve(revision, objects, references)
        if references.get(ref) is not None:
            raise Refusal(409, f"Reference {ref} already exists")
        require_unlocked(repository.folder, ref)
        target = commit
        if message and ref.startswith(TAGS):
            target = objects.add(_tag(objects, ref, commit, message, user))
            objects.settle()
        references.put(ref, target)
    return Change(ref, None, commit)


def remove(repository: Repository, ref: str) -> Change:
    """Remove a reference; what it stood for stays, and can be asked for by its digits.

    Raises:
        Refusal: There is none of this name, or it is the default branch.
        StorageError: It cannot be removed.
    """
    check_ref(ref)
    if ref == BRANCHES + DEFAULT_BRANCH:
        raise Refusal(403, f"Cannot delete {ref}: it is the default branch.")
    with repository.locked(), repository.objects() as objects:
        references = repository.references()
        sha = references.get(ref)
        if sha is None:
            raise no_revision(ref)
        require_unlocked(repository.folder, ref)
        references.remove(ref)
        return Change(ref, objects.peeled(sha), None)


def squash(repository: Repository, branch: str, message: str, user: str) -> Change:
    """Replace a branch's history by one commit of the same files.

    Raises:
        Refusal: There is no such branch.
        StorageError: It cannot be written.
    """
    ref = BRANCHES + branch
    with repository.locked(), repository.objects() as objects:
        references = repository.references()
        tip = references.get(ref)
        if tip is None:
            raise malformed(f"Invalid reference for a branch: {branch}")
        require_unlocked(repository.folder, ref)
        tree = objects.commit(tip).tree.decode()
        sha = objects.add(signed_commit(tree, [], message, user))
        objects.settle()
        references.put(ref, sha)
    return Change(ref, tip, sha)


def _tag(objects: Objects, ref: str, commit: str, message: str, user: str) -> Tag:
    if "\0" in message:
        raise malformed("The message of a tag may not have zero bytes.")
    tag = Tag()
    tag.name = ref.removeprefix(TAGS).encode()
    tag.object = (Commit, ObjectID(objects.commit(commit).id))
    tag.tagger = f"{user} <{user}@hub.invalid>".encode()
    tag.tag_time = int(time.time())
    tag.tag_timezone = 0
    tag.message = f"{message.rstrip()}\n".encode()
    return tag
