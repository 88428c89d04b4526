"""The base of what an evaluation hands on: frozen, and unknown keys are refused."""

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """Something that was asked for or found out; it never changes after that."""

    model_config = ConfigDict(frozen=True, extra="forbid")
