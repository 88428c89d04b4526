"""What goes into a release, and what has become of it."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from infra.publishing.pinned import Pinned


class Content(BaseModel):
    """The two exports of a release: everything in them is published."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    auto_round: Path = Field(description="The folder that goes to the main branch.")
    auto_gptq: Path = Field(description="The folder that goes to the GPTQ revision.")


class Published(BaseModel):
    """A release as it is on the Hub, verified."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str = Field(description="Address of the Hub.")
    repo_id: str = Field(description="The repository.")
    version: str = Field(description="The tag of the release.")
    main: Pinned = Field(description="The auto_round revision, with the card.")
    gptq: Pinned = Field(description="The GPTQ revision, which the card names.")
    commits: int = Field(ge=0, description="Commits that were made; none if it was there already.")
    signed: bool = Field(description="Whether both revisions carry a signature by the given key.")
