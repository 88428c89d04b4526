"""The outside world of a recipe: its store, its Hub, and their clocks."""

import datetime as dt
import email.utils
import secrets
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from flows.endpoint import LOCAL
from flows.publishing import look_before_publishing
from flows.recipe import Recipe
from flows.service.doctor.finding import Finding, fail, ok
from infra.errors import InfraError
from infra.files import explaining, make_folder, write_atomically
from infra.publishing.hub import endpoint_of
from infra.store.opening import require_fit

SKEW_SECONDS = 30.0  # leases and signatures of requests put up with more, but not with much more
PATIENCE_SECONDS = 10.0


def store(recipe: Recipe, workspace: Path) -> Finding:
    """Look whether a recipe's store can be read and written, and is fit to be one."""
    name, place = f"store of {recipe.name}", recipe.at(workspace)
    try:
        if place.store.on_s3:
            require_fit(place.store)
        else:
            _try_folder(Path(place.store.uri or place.local))
    except (InfraError, OSError) as error:
        return fail(name, str(error), "See above; keys come from the environment, AWS_*.")
    return ok(name, f"{place.store.uri} can be read and written")


def hub(recipe: Recipe, workspace: Path) -> Iterator[Finding]:
    """Look whether a recipe may publish where it says; nothing is published or made."""
    publish, name = recipe.publish, f"Hub of {recipe.name}"
    if publish is None:
        return
    if publish.endpoint == LOCAL:
        yield ok(name, f"the own Hub of {workspace}, which is started when it is needed")
        return
    endpoint = endpoint_of(publish.endpoint)
    try:
        look_before_publishing(recipe)
    except (InfraError, OSError) as error:
        yield fail(
            name, str(error), f"Look whether {endpoint} is the Hub that is meant, and its token."
        )
    else:
        yield ok(name, f"{publish.repo_id} at {endpoint} may be written")
    yield from clock(f"clock of {endpoint}", endpoint)


def store_clock(recipe: Recipe) -> Iterator[Finding]:
    """Compare this machine's clock with that of a store in a bucket."""
    if recipe.store.on_s3:
        address = recipe.store.service.address()
        yield from clock(f"clock of {address}", address)


def clock(name: str, url: str) -> Iterator[Finding]:
    """Compare this machine's clock with a server's; nothing where it does not tell."""
    told = _date_at(url)
    if told is None:
        return
    skew = (dt.datetime.now(dt.UTC) - told).total_seconds()
    seen = f"this machine is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} it"
    if abs(skew) <= SKEW_SECONDS:
        yield ok(name, seen)
    else:
        yield fail(
            name,
            seen,
            "Set the clock by NTP (timedatectl set-ntp true): leases and signed requests need "
            "clocks that agree.",
        )


def _date_at(url: str) -> dt.datetime | None:
    """Return the time that a server tells with any answer, a refusal as well."""
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 -- http or https, checked by the recipe
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310 -- as above
            told = answer.headers.get("Date")
    except urllib.error.HTTPError as error:
        told = error.headers.get("Date")
    except (OSError, ValueError):
        return None
    return email.utils.parsedate_to_datetime(told) if told else None


def _try_folder(folder: Path) -> None:
    """Write a file and remove it.

    Raises:
        StorageError: The folder cannot be written.
    """
    make_folder(folder)
    path = folder / f".doctor.{secrets.token_hex(8)}"
    write_atomically(path, b"")
    with explaining(path, "removing"):
        path.unlink()
