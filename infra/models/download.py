"""Models from the Hub, always of one commit.

A branch or a tag can move while a run lasts, and different steps may run on different machines, so
a revision is turned into its 40-digit commit once and everything after speaks of that commit.
`HfApi.resolve_revision` alone would fall back on the last commit that it has seen when the Hub does
not answer: here that is done only where the caller chose to be offline, never behind their back.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2
from huggingface_hub import HfApi, constants, is_offline_mode
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RevisionNotFoundError,
    RevisionResolutionError,
)

from infra.errors import HubUnreachableError, ModelError, ModelNotFoundError, UnknownRevisionError
from infra.files import explaining

# Weights, configuration, tokenizer, processor, the licence that must travel with them, and the card
# that names it: never pickles, and never what lies in folders below, copies in other formats.
WANTED = (
    *("*.safetensors", "*.json", "*.txt", "*.jinja", "*.model"),
    *("LICENSE*", "NOTICE*", "README.md"),
)
UNWANTED = ("*/*", "consolidated*.safetensors")

_COMMIT = re.compile(r"[0-9a-f]{40}")
_NO_SUCH_REPOSITORY = frozenset({401, 403, 404})


class Snapshot(NamedTuple):
    """A repository's files at one commit, in the local cache."""

    folder: Path
    commit: str


def download(repo_id: str, revision: str | None) -> Snapshot:
    """Fetch a model's files at the commit that a revision names now.

    The endpoint and the token are the Hub client's own: `HF_ENDPOINT`, and `HF_TOKEN` or the login
    of `hf auth login`.  Files that the cache holds already are not fetched again.

    Args:
        repo_id: A repository, as in ``Qwen/Qwen2-VL-7B-Instruct``.
        revision: A branch, a tag or a commit; None for the default branch.

    Raises:
        ModelNotFoundError: No such repository, or it is private or gated for this token.
        UnknownRevisionError: The repository has no such revision.
        HubUnreachableError: The Hub does not answer, or this process is offline, and the cache
            does not hold the files.
        StorageError: The cache cannot be written.
    """
    api = HfApi()
    cache = Path(constants.HF_HUB_CACHE)
    with explaining(cache, "downloading into"), _explaining_hub(api, repo_id, revision):
        commit = _commit_of(api, repo_id, revision)
        folder = api.snapshot_download(
            repo_id,
            revision=commit,
            allow_patterns=list(WANTED),
            ignore_patterns=list(UNWANTED),
        )
    return Snapshot(Path(folder), commit)


def _commit_of(api: HfApi, repo_id: str, revision: str | None) -> str:
    if revision is not None and _COMMIT.fullmatch(revision):
        return revision
    if not is_offline_mode():
        api.model_info(repo_id, revision=revision)  # raises where the next would use an old answer
    return api.resolve_revision(repo_id, revision=revision).resolved


@contextmanager
def _explaining_hub(api: HfApi, repo_id: str, revision: str | None) -> Iterator[None]:
    """Turn the Hub client's errors into ours, which say what to do."""
    try:
        yield
    except HFValidationError as error:
        raise _not_found(api, repo_id, "That is no name of a repository.") from error
    except GatedRepoError as error:
        reason = f"Its terms must be accepted first, at {api.endpoint}/{repo_id}."
        raise _not_found(api, repo_id, reason) from error
    except RevisionNotFoundError as error:
        raise UnknownRevisionError(
            f"{repo_id} at {api.endpoint} has no revision {revision!r}: no branch, tag or commit "
            f"of that name. {api.endpoint}/{repo_id}/tree/main lists those that it has."
        ) from error
    except HfHubHTTPError as error:
        raise _refused(api, repo_id, error) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, RevisionResolutionError) as error:
        raise _unreachable(api, repo_id, revision, error) from error
    except httpx2.HTTPError as error:
        raise _unreachable(api, repo_id, revision, error) from error


def _refused(api: HfApi, repo_id: str, error: HfHubHTTPError) -> ModelError:
    status = error.response.status_code
    if status in _NO_SUCH_REPOSITORY:
        return _not_found(api, repo_id, f"The Hub answered {status}.")
    return HubUnreachableError(
        f"The Hub at {api.endpoint} answered {status} when asked for {repo_id}. "
        "Try again later; what has been fetched is kept."
    )


def _not_found(api: HfApi, repo_id: str, reason: str) -> ModelNotFoundError:
    return ModelNotFoundError(
        f"There is no folder {repo_id!r} here, and no repository of that name at {api.endpoint} "
        f"that this token may read. {reason} Check the spelling; for a private or gated "
        "repository log in with `hf auth login`, or set HF_TOKEN to a token that may read it."
    )


def _unreachable(
    api: HfApi, repo_id: str, revision: str | None, error: Exception
) -> HubUnreachableError:
    what = f"{repo_id} at revision {revision or constants.DEFAULT_REVISION!r}"
    if is_offline_mode():
        return HubUnreachableError(
            f"{what} is not, or not whole, in the cache {constants.HF_HUB_CACHE}, and "
            "HF_HUB_OFFLINE forbids to ask the Hub. Unset it, or name the commit or the folder of "
            "a copy that is here."
        )
    cause = str(error).partition("\n")[0]
    return HubUnreachableError(
        f"The Hub at {api.endpoint} did not answer when asked for {what} ({cause}). Check the "
        "network and HF_ENDPOINT and try again; with HF_HUB_OFFLINE=1 the cached copy is used."
    )
