"""One thing that was looked at."""

from typing import Literal

from pydantic import Field

from tasks.specs import Spec

State = Literal["ok", "warn", "fail"]


class Finding(Spec):
    """What was looked at, what was seen, and what to do about it."""

    name: str = Field(description="What was looked at.")
    state: State = Field(description="ok; warn: it may do; fail: it will not.")
    seen: str = Field(description="What was seen.")
    remedy: str = Field(default="", description="What to do; nothing where all is well.")


def ok(name: str, seen: str) -> Finding:
    """Return that all is well."""
    return Finding(name=name, state="ok", seen=seen)


def warn(name: str, seen: str, remedy: str) -> Finding:
    """Return that it may do."""
    return Finding(name=name, state="warn", seen=seen, remedy=remedy)


def fail(name: str, seen: str, remedy: str) -> Finding:
    """Return that it will not do."""
    return Finding(name=name, state="fail", seen=seen, remedy=remedy)
