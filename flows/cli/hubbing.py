"""`roundhouse hub serve | token`: what the commands do."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError
from rich.console import Console
from rich.logging import RichHandler

from flows.cli.exits import Exit
from flows.errors import RecipeError
from infra.local_hub import access, serving, xet
from infra.local_hub.access import Role
from infra.local_hub.settings import HubSettings


class Served(NamedTuple):
    """What the command line asks for."""

    root: Path
    host: str
    port: int
    public_url: str | None
    xet: bool | None


def serve(asked: Served) -> Exit:
    """Serve a Hub until it is stopped.

    Raises:
        HubPortError: It cannot listen there.
        RecipeError: A flag does not say what it must.
        StorageError: The folder cannot be used.
    """
    settings = settings_of(asked)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    logging.basicConfig(
        level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=console)]
    )
    if not any(access.issued_tokens(asked.root)):
        console.print(
            "Nobody has a token yet: `roundhouse hub token USER` issues one, also while the Hub "
            "runs.",
            markup=False,
        )
    serving.serve(settings, host=asked.host, port=asked.port)
    return Exit.OK


def settings_of(asked: Served) -> HubSettings:
    """Return what the command line asks for as the Hub's settings.

    Raises:
        RecipeError: A flag does not say what it must.
    """
    try:
        return HubSettings(
            root=asked.root,
            public_url=asked.public_url,
            xet=asked.xet if asked.xet is not None else xet.is_this_machine(asked.host),
        )
    except ValidationError as error:
        raise RecipeError(
            f"--public-url {asked.public_url!r} is no address of a Hub: give it as in "
            "https://hub.example.org, without a path."
        ) from error


def issue(root: Path, user: str, orgs: Sequence[str], role: Role) -> Exit:
    """Issue a token, and print it.

    Raises:
        HubNameError: A user or an organization cannot be called this.
        StorageError: The folder cannot be written.
    """
    issued = access.issue_token(root, user, orgs=orgs, role=role)
    Console(soft_wrap=True).print(issued, markup=False, highlight=False)
    return Exit.OK


def revoke(root: Path, user: str) -> Exit:
    """Make all tokens of a user worthless.

    Raises:
        StorageError: The folder cannot be read or written.
    """
    count = access.revoke_tokens(root, user)
    Console(soft_wrap=True).print(f"{count} of {user}'s tokens are worthless now.", markup=False)
    return Exit.OK
