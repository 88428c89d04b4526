"""A revision that does not move: the commit that a card names, and the tag that keeps it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

SHORT_DIGITS = 7  # what people read; more where seven are not unique


class Pinned(BaseModel):
    """One published commit, by every name that a reader may use for it.

    `short` is the beginning of `commit`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    repo_id: str = Field(description="The repository, as in owner/name.")
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] = Field(
        description="Its 40 digits, for programs."
    )
    short: Annotated[str, Field(pattern=r"^[0-9a-f]{7,40}$")] = Field(
        description="Its first digits, for people: seven, or as many as make them unique."
    )
    tag: str = Field(description="The tag that keeps it reachable, and never moves.")
