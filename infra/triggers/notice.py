"""What a Hub's webhook says, read as a hint: which repository to look at.

Whoever knows the secret can say anything, and the Hub repeats itself.  So nothing is done because
of what a notice says; it only makes us look earlier than the next scheduled look would.
"""

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.errors import NoticeError

_TAGS = "refs/tags/"


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True)  # a Hub may say more than we read


class _Repository(_Said):
    name: str = Field(min_length=1, max_length=256)
    type: str = "model"


class _Reference(_Said):
    ref: str = Field(max_length=1024)


class Notice(_Said):
    """A webhook's payload, as far as it is read."""

    repo: _Repository
    updated_refs: tuple[_Reference, ...] = Field(default=(), alias="updatedRefs")

    @property
    def tells_of_tags(self) -> bool:
        """Whether a tag of a model was set, moved or removed."""
        return self.repo.type == "model" and any(
            each.ref.startswith(_TAGS) for each in self.updated_refs
        )


def read_notice(body: bytes) -> Notice:
    """Read a webhook's payload.

    Raises:
        NoticeError: It is none.
    """
    try:
        return Notice.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the body"
        raise NoticeError(
            f"This is no notice of a Hub's webhook: {place}: {first['msg']}. Version 3 of the "
            "payload is read, as the Hub sends it."
        ) from error
