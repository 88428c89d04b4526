"""The base of all facts: frozen, of JSON's numbers, and unknown keys are refused."""

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """Something that was measured or asked for; it survives a trip through JSON unchanged."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
