"""Where a release goes: the repository, its branches, and the tag that announces it."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

GPTQ = "auto_gptq"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_REF = re.compile(r"[A-Za-z0-9][\w.+-]*(/[A-Za-z0-9][\w.+-]*)*", re.ASCII)
_LIKE_A_COMMIT = re.compile(r"[0-9a-f]{7,40}")


def _repository(name: str) -> str:
    if not _REPOSITORY.fullmatch(name) or ".." in name or "--" in name or name.endswith(".git"):
        raise ValueError(
            f"{name!r} is no name of a repository: give owner/name, of letters, digits, - _ and ., "
            "without .. or --"
        )
    return name


def _ref(name: str) -> str:
    bad_end = any(part.endswith((".", ".lock")) for part in name.split("/"))
    if not _REF.fullmatch(name) or ".." in name or bad_end:
        raise ValueError(
            f"{name!r} is no name of a branch or tag: give letters, digits, - _ + . and /, as in "
            "v1.0.0"
        )
    if _LIKE_A_COMMIT.fullmatch(name):
        raise ValueError(f"{name!r} looks like a commit; give a name that no commit could have")
    return name


RepositoryId = Annotated[str, AfterValidator(_repository)]
RefName = Annotated[str, AfterValidator(_ref)]


class Target(BaseModel):
    """Where a release goes.

    No tag has the name of a branch: which of the two the Hub would then give is not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str | None = Field(
        default=None, description="Address of the Hub; none for the client's own, HF_ENDPOINT."
    )
    repo_id: RepositoryId = Field(description="The repository, as in owner/name.")
    private: bool = Field(default=False, description="Make a new repository a private one.")
    branch: RefName = Field(default="main", description="What readers get by default: auto_round.")
    gptq_branch: RefName = Field(
        default=GPTQ, description="Where the GPTQ checkpoint goes; unused with a second repository."
    )
    gptq_repo_id: RepositoryId | None = Field(
        default=None, description="A second repository for GPTQ; none for a branch of the first."
    )
    version: RefName = Field(description="The tag of the release, as in v1.0.0.")

    @property
    def gptq_tag(self) -> str:
        """The tag of the GPTQ checkpoint, in whichever repository it is."""
        return f"{self.version}-{GPTQ}"

    @property
    def gptq_place(self) -> tuple[str, str]:
        """The repository and the branch of the GPTQ checkpoint."""
        if self.gptq_repo_id is None:
            return self.repo_id, self.gptq_branch
        return self.gptq_repo_id, self.branch

    @property
    def repositories(self) -> tuple[str, ...]:
        """The repositories that a release writes to."""
        return tuple(dict.fromkeys((self.repo_id, self.gptq_place[0])))

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if self.gptq_repo_id == self.repo_id:
            raise ValueError(
                f"both formats would go to {self.branch} of {self.repo_id}; leave gptq_repo_id out "
                "to have a branch, or name another repository"
            )
        names = (self.branch, self.gptq_branch, self.version, self.gptq_tag)
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"{', '.join(twice)} would name two things of {self.repo_id}; give branches and "
                "version names of their own"
            )
        return self
