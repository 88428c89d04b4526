"""The Hub as publishing sees it: the client's calls that are safe here, behind one error boundary.

Of the client's ways to write only `create_commit` is used.  `upload_folder` may make several
commits of one folder, and `upload_file` makes one a file: readers would see what is half there.
"""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeVar

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    constants,
    get_session,
    hf_hub_url,
    hf_raise_for_status,
)
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile

from infra.errors import PublishedDiffersError
from infra.publishing.manifest import RemoteFile, Tree, differences, measure
from infra.publishing.refusals import BAD_CARD, CLIENT_ERRORS, Attempt, told
from infra.publishing.token import HubToken

DISTRIBUTION = "roundhouse"  # what the Hub is told of who asks
Answer = TypeVar("Answer")
Operation = CommitOperationAdd | CommitOperationCopy | CommitOperationDelete


class Refs(NamedTuple):
    """Where each branch and each tag of a repository is: at which commit, of 40 digits."""

    branches: dict[str, str]
    tags: dict[str, str]


class Hub:
    """A Hub, and who asks it.

    Every method raises `infra.errors.PublishError` where the Hub refuses and `HubUnreachableError`
    where it does not answer; nothing of what they raise holds the token.
    """

    __slots__ = ("_api", "_token")

    def __init__(self, api: HfApi, token: HubToken | None) -> None:
        self._api, self._token = api, token

    def __repr__(self) -> str:
        """Tell which Hub it is."""
        return f"Hub({self.endpoint})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be written down: the client within holds the token."""
        raise TypeError("a Hub is not pickled or copied: open it where it is needed")

    @property
    def endpoint(self) -> str:
        """Its address."""
        return self._api.endpoint

    def role(self) -> str:
        """Return what the token may do, in the Hub's word: read, write, fineGrained, ..."""
        told = self._ask("", "asking whose the token is", self._api.whoami)
        return str(told.get("auth", {}).get("accessToken", {}).get("role", "unknown"))

    def is_private(self, repo_id: str) -> bool | None:
        """Whether a repository is private; None where there is none that the token sees."""
        return self._ask(repo_id, f"looking for {repo_id}", lambda: _privacy(self._api, repo_id))

    def create(self, repo_id: str, *, private: bool) -> None:
        """Make a repository, or leave it as it is where there is one."""
        self._ask(
            repo_id,
            f"making the repository {repo_id}",
            lambda: self._api.create_repo(repo_id, private=private, exist_ok=True),
        )

    def refs(self, repo_id: str) -> Refs:
        """Return where the branches and tags are."""
        found = self._ask(
            repo_id,
            f"reading the branches and tags of {repo_id}",
            lambda: self._api.list_repo_refs(repo_id),
        )
        return Refs(
            {ref.name: ref.target_commit for ref in found.branches},
            {ref.name: ref.target_commit for ref in found.tags},
        )

    def resolve(self, repo_id: str, revision: str) -> str:
        """Return the 40 digits of the commit that a branch, a tag or a short commit names now."""
        info = self._ask(
            repo_id,
            f"looking for {revision} in {repo_id}",
            lambda: self._api.repo_info(repo_id, revision=revision),
        )
        return str(info.sha)

    def commits(self, repo_id: str, revision: str) -> list[str]:
        """Return the commits that lead to a revision, the newest first."""
        found = self._ask(
            repo_id,
            f"reading the history of {revision} of {repo_id}",
            lambda: self._api.list_repo_commits(repo_id, revision=revision),
        )
        return [commit.commit_id for commit in found]

    def tree(self, repo_id: str, revision: str) -> Tree:
        """Return all files of a revision."""
        entries = self._ask(
            repo_id,
            f"reading the files of {repo_id} at {revision}",
            lambda: list(self._api.list_repo_tree(repo_id, recursive=True, revision=revision)),
        )
        return {
            entry.path: RemoteFile(
                entry.size, entry.lfs.sha256 if entry.lfs else None, entry.blob_id
            )
            for entry in entries
            if isinstance(entry, RepoFile)
        }

    def read(self, repo_id: str, revision: str, path: str) -> bytes:
        """Return a small file's bytes, from the Hub and from no cache."""
        return self._ask(
            repo_id,
            f"reading {path} of {repo_id} at {revision}",
            lambda: _read(
                hf_hub_url(repo_id, path, revision=revision, endpoint=self.endpoint), self._token
            ),
        )

    def download(self, repo_id: str, commit: str, folder: Path) -> Path:
        """Fetch all files of a commit into a folder; those that are there are not fetched again.

        Returns:
            The folder.

        Raises:
            PublishedDiffersError: What came is not what the Hub announced.
        """
        self._ask(
            repo_id,
            f"downloading {repo_id} at {commit}",
            lambda: self._api.snapshot_download(repo_id, revision=commit, local_dir=folder),
        )
        if found := differences(measure(folder, {}), self.tree(repo_id, commit)):
            raise PublishedDiffersError(
                f"{repo_id} at {commit} was downloaded to {folder}, but what came is not what "
                f"{self.endpoint} announced: {'; '.join(found[:3])}. Delete the folder and run "
                "again, which fetches it anew."
            )
        return folder

    def check_card(self, repo_id: str, text: str) -> None:
        """Require that the Hub takes a card's metadata, before anything is written.

        Raises:
            CardRefusedError: It does not.
        """
        self._ask(
            repo_id,
            f"checking the card of {repo_id}",
            lambda: _validate(self.endpoint, text),
        )

    def branch(self, repo_id: str, name: str, commit: str) -> None:
        """Make a branch; refused where there is one of that name."""
        self._ask(
            repo_id,
            f"making the branch {name} of {repo_id}",
            lambda: self._api.create_branch(repo_id, branch=name, revision=commit),
        )

    def tag(self, repo_id: str, name: str, commit: str) -> None:
        """Make a tag; refused where there is one of that name."""
        self._ask(
            repo_id,
            f"setting the tag {name} of {repo_id}",
            lambda: self._api.create_tag(repo_id, tag=name, revision=commit),
        )

    def commit(
        self, repo_id: str, branch: str, operations: Sequence[Operation], *, parent: str, title: str
    ) -> str:
        """Upload what is missing, and make one commit of it all; return its 40 digits.

        Raises:
            StaleParentError: The branch is no longer at ``parent``.
            CardRefusedError: README.md among the operations has metadata that the Hub refuses.
        """
        made = self._ask(
            repo_id,
            f"committing to {branch} of {repo_id}",
            lambda: self._api.create_commit(
                repo_id, operations, commit_message=title, revision=branch, parent_commit=parent
            ),
        )
        return made.oid

    def _ask(self, repo_id: str, doing: str, call: Callable[[], Answer]) -> Answer:
        """Call the client; what it raises is told anew and left behind, for it holds the token."""
        try:
            return call()
        except CLIENT_ERRORS as error:
            failure = told(error, Attempt(self.endpoint, repo_id, doing, self._token))
            if failure is None:
                raise
        raise failure  # outside of the handler: the client's error is not even its context


def open_hub(endpoint: str | None, token: HubToken | None) -> Hub:
    """Return the Hub at an address; nothing is asked of it yet.

    Args:
        endpoint: Its address; None for the client's own, `HF_ENDPOINT` or huggingface.co.
        token: Who asks; None to read what is public, whatever token the environment has.
    """
    return Hub(
        HfApi(
            endpoint=endpoint_of(endpoint),
            token=token.reveal() if token else False,
            library_name=DISTRIBUTION,
            library_version=version(DISTRIBUTION),
        ),
        token,
    )


def endpoint_of(endpoint: str | None) -> str:
    """Return the address that an endpoint stands for."""
    return (endpoint or constants.ENDPOINT).rstrip("/")


def _privacy(api: HfApi, repo_id: str) -> bool | None:
    try:
        return bool(api.repo_info(repo_id).private)
    except GatedRepoError:
        raise
    except RepositoryNotFoundError:
        return None


def _read(address: str, token: HubToken | None) -> bytes:
    headers = {"Authorization": f"Bearer {token.reveal()}"} if token else {}
    answer = get_session().get(address, headers=headers, follow_redirects=True)
    hf_raise_for_status(answer)
    return answer.content


def _validate(endpoint: str, card: str) -> None:
    """Ask what the client asks before a commit, in its words."""
    answer = get_session().post(
        f"{endpoint}/api/validate-yaml", json={"content": card, "repoType": "model"}
    )
    if answer.status_code == 400:  # noqa: PLR2004 -- it is how the Hub says no to a card
        said = "; ".join(str(error.get("message")) for error in answer.json().get("errors", []))
        raise ValueError(f"{BAD_CARD} {said}")
    hf_raise_for_status(answer)
