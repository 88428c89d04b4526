"""What makes two notices of a tag the same notice: repository, tag and commit."""

import uuid
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_NAMESPACE = uuid.UUID("6d5f4be0-4a5c-5c0e-9c53-0f3a1d1b7f0e")  # of our notices alone


class TagKey(BaseModel):
    """A tag of a repository, at the commit that it names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repo_id: str = Field(description="The repository, as in owner/name.")
    tag: str = Field(description="The tag, without refs/tags/.")
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] = Field(description="40 digits.")

    @property
    def event_id(self) -> uuid.UUID:
        """The id of the event that tells of it: the same for every delivery."""
        return uuid.uuid5(_NAMESPACE, f"{self.repo_id} {self.tag} {self.commit}")

    @property
    def words(self) -> str:
        """The key as a person reads it."""
        return f"{self.tag} of {self.repo_id} at {self.commit[:7]}"
