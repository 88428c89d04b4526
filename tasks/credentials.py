"""Where the Hub's token comes from: the environment, a Secret block of Prefect's, or a file.

What moves between steps is the name of the place.  The token is fetched inside of the step that
uses it, so it is no parameter, and no database and no page ever holds it.
"""

from pathlib import Path
from typing import Any, Literal, cast, overload

from prefect.blocks.system import Secret

from infra.errors import MissingTokenError
from infra.publishing.token import HubToken, from_environment, from_file

ENVIRONMENT, BLOCK, FILE = "environment", "block:", "file:"


@overload
def token(source: str, *, required: Literal[True] = True) -> HubToken: ...
@overload
def token(source: str, *, required: bool) -> HubToken | None: ...
def token(source: str, *, required: bool = True) -> HubToken | None:
    """Fetch the token that a source names.

    Args:
        source: ``environment`` for `HF_TOKEN` or the login of ``hf auth login``; ``block:NAME``
            for a Secret block of the Prefect server; ``file:PATH`` for a file of mode 0600.
        required: Without, None is returned where the environment has no token: what is public can
            be read without one.  A block or a file that is named must be there in any case.

    Raises:
        MissingTokenError: There is none, or the source is none of the three.
        StorageError: A file cannot be read.
    """
    if source == ENVIRONMENT:
        try:
            return from_environment()
        except MissingTokenError:
            if required:
                raise
            return None
    if source.startswith(BLOCK):
        return _from_block(source.removeprefix(BLOCK))
    if source.startswith(FILE):
        return from_file(Path(source.removeprefix(FILE)).expanduser())
    raise MissingTokenError(  # whatever it is, it is not shown: it may be the token itself
        "The place of the token is none that is known. Say environment (HF_TOKEN, or the login of "
        "`hf auth login`), block:NAME (a Secret block of Prefect) or file:PATH (of mode 0600); "
        "never the token itself."
    )


def _from_block(name: str) -> HubToken:
    """Return what a Secret block holds, with no variable bound to it."""
    try:
        block = cast("Secret[Any]", Secret.load(name))  # no coroutine: nothing is awaited here
    except ValueError as error:
        raise MissingTokenError(
            f"Prefect's server has no Secret block {name!r} for the token. Make one on its page "
            "Blocks, or with `prefect block create secret`, and give it this name."
        ) from error
    if not isinstance(block.get(), str):
        raise MissingTokenError(
            f"The Secret block {name!r} holds no text, but a {type(block.get()).__name__}. Put the "
            "token there alone."
        )
    return HubToken(block.get().strip(), f"the Secret block {name}")
