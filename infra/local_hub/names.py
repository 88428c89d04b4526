"""Which names the Hub lets into its folder: of repositories, of references, of files.

Everything that a client names becomes part of a path somewhere, here or where the repository is
downloaded to.  Names are therefore allowed by rule, and never cleaned up: what does not fit is
refused, and the answer says why.
"""

import re

from dulwich.index import validate_path_element_hfs, validate_path_element_ntfs
from dulwich.refs import Ref, check_ref_format

from infra.local_hub.refusals import malformed

KINDS = ("models", "datasets", "spaces")
RESERVED = frozenset({*KINDS, "api", "buckets", "kernels", "settings", "login", "join", "new"})
LONGEST_ELEMENT = 255  # bytes, as file systems have it
LONGEST_PATH = 4096
DEEPEST_PATH = 64
LONGEST_REF = 200

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# What git's own check looks at closely: links to other repositories, in all spellings.
_SUBMODULES = re.compile(r"\.gitmodules[. ]*|gitmod~\d|gi7eba~\d", re.IGNORECASE)
_UNSEEN = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")  # skipped by HFS+


def check_kind(kind: str) -> str:
    """Return the plural of a repository's type, as it stands in addresses.

    Raises:
        Refusal: There is no such type.
    """
    if kind not in KINDS:
        raise malformed(f"{kind!r} is no type of repository: {', '.join(KINDS)} are.")
    return kind


def is_name(name: str) -> bool:
    """Whether a user, an organization or a repository may be called this."""
    return bool(_NAME.fullmatch(name)) and not any(
        (".." in name, "--" in name, name.lower().endswith(".git"))
    )


def is_namespace(name: str) -> bool:
    """Whether a user or an organization may be called this."""
    return is_name(name) and name.lower() not in RESERVED


def check_repository(namespace: str, name: str) -> str:
    """Return ``namespace/name``.

    Raises:
        Refusal: No repository can be called this.
    """
    if not (is_namespace(namespace) and is_name(name)):
        raise malformed(
            f"{namespace}/{name} is no name of a repository: letters, digits, '.', '_' and '-', "
            "up to 96, not '--' nor '..', beginning and ending with a letter, a digit or '_', "
            "and not ending in '.git'."
        )
    return f"{namespace}/{name}"


def check_ref(ref: str) -> str:
    """Return ``ref``, which is a full name as in ``refs/heads/main``.

    Raises:
        Refusal: No branch and no tag can be called this.
    """
    short = ref.split("/", 2)[-1]
    try:
        encoded = ref.encode()
    except UnicodeEncodeError:
        raise malformed("Invalid reference name: it is no Unicode text.") from None
    impossible = (
        not check_ref_format(Ref(encoded)),
        len(encoded) > LONGEST_REF,
        short.startswith(("refs/", "-")),
        short == "HEAD",
        re.fullmatch(r"[0-9a-f]{40}", short) is not None,  # it would look like a commit
    )
    if any(impossible):
        raise malformed(f"Invalid reference name: {ref!r}")
    return ref


def check_path(path: str) -> str:
    """Return the path of a file in a repository.

    Raises:
        Refusal: It leads out of the repository, into git's own files, or cannot be a file's name
            on some system.
    """
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        raise malformed("A path in a repository must be Unicode text.") from None
    elements = encoded.split(b"/")
    if len(encoded) > LONGEST_PATH or len(elements) > DEEPEST_PATH:
        raise malformed(f"A path is longer or deeper than can be kept: {path[:80]!r} ...")
    if "\\" in path or _CONTROL.search(path) or not all(map(_is_element, elements)):
        raise malformed(
            f"{path!r} is no path of a file in a repository: it must be relative, with '/' between "
            "its parts, without empty parts, '.', '..', backslashes and control characters, and "
            "none of its parts may be '.git' or '.gitmodules'."
        )
    return path


def _is_element(element: bytes) -> bool:
    return (
        0 < len(element) <= LONGEST_ELEMENT
        and validate_path_element_ntfs(element)
        and validate_path_element_hfs(element)
        and not _SUBMODULES.fullmatch(_UNSEEN.sub("", element.decode()))
    )
