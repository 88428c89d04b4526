"""A commit as the client sends it, one JSON object a line, and what becomes of it."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from infra.local_hub.attributes import LONGEST_LINE
from infra.local_hub.largefiles import Pointer, check_oid
from infra.local_hub.names import check_path
from infra.local_hub.objects import Objects
from infra.local_hub.references import BRANCHES, TAGS, Change, require_unlocked
from infra.local_hub.refusals import STALE_PARENT, Refusal, malformed, no_entry, no_revision
from infra.local_hub.repository import Repository, signed_commit
from infra.local_hub.trees import PLAIN_FILE, Entry, read_tree, write_tree


class _Lenient(BaseModel):
    """Part of a request: what is not known here is left aside, as by the real Hub."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Header(_Lenient):
    """What the commit is called, and what it must come right after."""

    summary: str = Field(min_length=1, max_length=4096)
    description: str | None = Field(default=None, max_length=65_536)
    parent: str | None = Field(default=None, alias="parentCommit", pattern=r"^[0-9a-f]{7,40}$")

    @property
    def message(self) -> str:
        """The message of the commit in git."""
        return f"{self.summary}\n\n{self.description}" if self.description else self.summary


class SmallFile(_Lenient):
    """A file that is kept in git itself."""

    path: str
    content: str
    encoding: Literal["base64", "utf-8"] = "base64"


class LargeFile(_Lenient):
    """A file whose content is here already.  Without a size it is a copy of one that is."""

    path: str
    oid: str
    algo: Literal["sha256"] = "sha256"
    size: int | None = Field(default=None, ge=0)


class Deleted(_Lenient):
    """A file or a folder that goes."""

    path: str


class _HeaderLine(_Lenient):
    key: Literal["header"]
    value: Header


class _FileLine(_Lenient):
    key: Literal["file"]
    value: SmallFile


class LargeFileLine(_Lenient):
    """The line of a commit that names a large file."""

    key: Literal["lfsFile"]
    value: LargeFile


class _DeletedFileLine(_Lenient):
    key: Literal["deletedFile"]
    value: Deleted


class _DeletedFolderLine(_Lenient):
    key: Literal["deletedFolder"]
    value: Deleted


_Line = Annotated[
    _HeaderLine | _FileLine | LargeFileLine | _DeletedFileLine | _DeletedFolderLine,
    Field(discriminator="key"),
]
_LINE: TypeAdapter[_Line] = TypeAdapter(_Line)


class Proposal(NamedTuple):
    """A commit that is asked for: nothing is written yet, and all names in it are sound."""

    header: Header
    operations: Sequence[_Line]


class Landed(NamedTuple):
    """A commit that was made."""

    sha: str
    change: Change


def read_proposal(body: bytes, max_files: int) -> Proposal:
    """Return the commit that a request asks for.

    Raises:
        Refusal: A line is no JSON, or says something impossible.
    """
    lines = [line for line in body.splitlines() if line.strip()]
    if len(lines) > max_files:
        raise Refusal(413, f"A commit may have {max_files} operations; this one has {len(lines)}.")
    parsed = [_parse(line, number) for number, line in enumerate(lines, 1)]
    if not parsed or not isinstance(parsed[0], _HeaderLine):
        raise malformed("The first line of a commit must be its header.")
    operations = parsed[1:]
    for operation in operations:
        if isinstance(operation, _HeaderLine):
            raise malformed("A commit has one header, in its first line.")
        is_folder = isinstance(operation, _DeletedFolderLine)
        check_path(operation.value.path.rstrip("/") if is_folder else operation.value.path)
        if isinstance(operation, LargeFileLine):
            check_oid(operation.value.oid)
    return Proposal(_sound(parsed[0].value), operations)


def land(
    repository: Repository,
    branch: str,
    proposal: Proposal,
    user: str,
    size_of: Callable[[LargeFile], int],
) -> Landed:
    """Make the commit and move the branch to it; the caller has the repository's lock.

    Args:
        repository: Where.
        branch: Its short name.
        proposal: What.
        user: Whose commit it is.
        size_of: Returns the size of a large file whose content the repository has, and refuses
            others.

    Raises:
        Refusal: There is no such branch, it has moved on, or an operation cannot be carried out.
        StorageError: It cannot be written; the branch is where it was.
    """
    references, ref = repository.references(), BRANCHES + branch
    tip = references.get(ref)
    if tip is None:
        raise (
            no_revision(branch) if references.get(TAGS + branch) is None else _not_a_branch(branch)
        )
    require_unlocked(repository.folder, ref)
    if proposal.header.parent is not None and not tip.startswith(proposal.header.parent):
        raise Refusal(412, STALE_PARENT)
    with repository.objects() as objects:
        files = read_tree(objects, objects.commit(tip).tree.decode()).files
        for operation in proposal.operations:
            _apply(operation, files, objects, size_of)
        tree = write_tree(objects, files)
        sha = objects.add(signed_commit(tree, [tip], proposal.header.message, user))
        objects.settle()
    references.put(ref, sha)
    return Landed(sha, Change(ref, tip, sha))


def _apply(
    operation: _Line,
    files: dict[str, Entry],
    objects: Objects,
    size_of: Callable[[LargeFile], int],
) -> None:
    """Carry out one operation on the files of the new revision."""
    path = operation.value.path if not isinstance(operation, _HeaderLine) else ""
    match operation:
        case _FileLine(value=file):
            files[path] = Entry(PLAIN_FILE, objects.add_blob(_content(file)))
        case LargeFileLine(value=file):
            pointer = Pointer(file.oid, size_of(file))
            files[path] = Entry(PLAIN_FILE, objects.add_blob(pointer.text))
        case _DeletedFileLine():
            if files.pop(path, None) is None:
                raise no_entry(path)
        case _DeletedFolderLine():
            inside = [name for name in files if name.startswith(f"{path.rstrip('/')}/")]
            if not inside:
                raise no_entry(path)
            for name in inside:
                del files[name]


def _content(file: SmallFile) -> bytes:
    if file.encoding == "utf-8":
        data = file.content.encode()
    else:
        try:
            data = base64.b64decode(file.content, validate=True)
        except (binascii.Error, ValueError) as error:
            raise malformed(f"The content of {file.path} is no base64: {error}") from error
    is_attributes = file.path.rpartition("/")[2] == ".gitattributes"
    if is_attributes and any(len(line) > LONGEST_LINE for line in data.splitlines()):
        raise malformed(f"{file.path} has a line of more than {LONGEST_LINE} bytes.")
    return data


def _parse(line: bytes, number: int) -> _Line:
    try:
        return _LINE.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise malformed(
            f"Line {number} of the commit, {where or 'as a whole'}: {first['msg']}"
        ) from error


def _sound(header: Header) -> Header:
    if "\0" in header.message:
        raise malformed("The message of a commit may not have zero bytes.")
    return header


def _not_a_branch(name: str) -> Refusal:
    return malformed(f"{name} is a tag; commits are made on branches.")
