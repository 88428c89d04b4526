"""The Hub's token, from where it is kept to the client's header, and shown to nobody between.

A token that is a parameter ends in a database, one that is a string ends in a log or a traceback.
So it is fetched where it is used, and held by an object that tells where it came from and never
what it is.  No variable here is bound to its text when an error is raised: a traceback may be
printed with its variables.
"""

import re
import stat
from pathlib import Path
from typing import NoReturn

from huggingface_hub import get_token
from huggingface_hub.errors import OIDCError

from infra.errors import MissingTokenError
from infra.files import explaining

_SENDABLE = re.compile(r"[!-~]+")  # what a header can carry: visible ASCII
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class HubToken:
    """A token that shows itself to the Hub's client alone, by `reveal`.

    It cannot be pickled or copied: whoever needs it elsewhere resolves its source there.
    """

    __slots__ = ("_origin", "_text")

    def __init__(self, text: str, origin: str) -> None:
        """Hold a token.

        Args:
            text: The token.
            origin: Where it came from, for messages, as in "HF_TOKEN".

        Raises:
            MissingTokenError: It is empty, or holds what cannot be sent.
        """
        sendable, empty = bool(_SENDABLE.fullmatch(text)), not text
        self._origin, self._text = origin, text if sendable else ""
        text = ""  # see the top of this page
        if empty:
            raise MissingTokenError(
                f"There is no token in {origin}. Put one there that may write to the repository, "
                "or name another source."
            )
        if not sendable:
            raise MissingTokenError(
                f"The token from {origin} cannot be sent: it holds a blank, a line break or a "
                "letter outside of ASCII. Put the token there alone, as the Hub showed it."
            )

    @property
    def origin(self) -> str:
        """Where the token came from."""
        return self._origin

    def reveal(self) -> str:
        """Return the token.  Hand it to the client at once, and keep it nowhere."""
        return self._text

    def hide(self, message: str) -> str:
        """Return ``message`` without the token, whoever put it there."""
        return message.replace(self._text, "(the token)")

    def __repr__(self) -> str:
        """Tell where it came from, and nothing else."""
        return f"HubToken(hidden, from {self._origin})"

    def __format__(self, spec: str) -> str:
        """Tell the same, at any width."""
        return format(repr(self), spec)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be written down."""
        raise TypeError(
            "a HubToken is not pickled or copied: resolve its source again where it is needed"
        )


def from_environment() -> HubToken:
    """Return what the Hub's client itself would use: `HF_TOKEN`, or the login of ``hf auth login``.

    In a pipeline that the Hub trusts (`HF_OIDC_RESOURCE`) it is one that ends after an hour.

    Raises:
        MissingTokenError: There is none.
    """
    try:
        return HubToken(get_token() or "", "HF_TOKEN or the login of `hf auth login`")
    except (OIDCError, OSError) as error:
        raise MissingTokenError(
            f"The environment gives no token: {error}. Set HF_TOKEN, or log in with `hf auth "
            "login`."
        ) from error


def from_file(path: Path) -> HubToken:
    """Return the token that a file of this user alone holds, on one line.

    Raises:
        MissingTokenError: There is no such file, others may read it, or it holds no token.
        StorageError: It cannot be read.
    """
    if not path.is_file():
        raise MissingTokenError(
            f"There is no file {path} to read the token from. Write the token there, with mode "
            "0600, or name another source."
        )
    mode = path.stat().st_mode
    if mode & _OTHERS:
        raise MissingTokenError(
            f"The token in {path} is not read: its mode is {stat.S_IMODE(mode):04o}, so others on "
            f"this machine may have read it. Run `chmod 600 {path}`; if others use this machine, "
            "make a new token, too."
        )
    with explaining(path, "reading"):
        return HubToken(path.read_text(encoding="utf-8", errors="replace").strip(), str(path))
