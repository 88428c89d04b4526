"""Write the two pages of docs/ that only repeat what the code says: recipe fields and errors.

Descriptions stand beside the fields and classes that they describe, where whoever changes these
sees them.  `python -m flows.reference` copies them into docs/, and a test holds both together.
"""

import inspect
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

import flows.errors
import infra.errors
import quantcore.errors
from flows.cli.exits import code_of
from flows.recipe import Recipe

DOCS = Path(__file__).parents[1] / "docs"
NOTE = "<!-- Written by `python -m flows.reference`; change the code that it describes instead. -->"
KINDS = {
    str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path",
}  # fmt: skip
RECIPE = """\
# Every field of a recipe

A recipe is one YAML file ([the reference release](../flows/recipes/qwen2-vl-7b-instruct.yaml) is an
example).  Unknown keys are refused, and every value is checked before anything starts.  `--set
a.b=c` changes one value of a recipe; a calibration set is addressed by its name, as in
`--set calibration.pile.nsamples=64`.
"""
ERRORS = """\
# Every error, and how the command ends on it

Messages are one paragraph: the value, the place, the remedy.  The number is the exit code of
`roundhouse`; the classes are for programs.  A class inherits from the one that it is indented
below.  An error that is not on this page is a fault of Roundhouse, and ends with 1.
"""


def recipe_page() -> str:
    """Return docs/recipe.md."""
    described: dict[type[BaseModel], str] = {}
    lines = [NOTE, "", RECIPE]
    for key, model in _models(Recipe, ""):
        same = described.setdefault(model, key)
        heading = f"## `{key}`" if key else "## The recipe itself"
        body = _section(model) if same == key else f"The fields are those of [`{same}`](#{same}).\n"
        lines += [heading, "", body]
    return "\n".join(lines)


def errors_page() -> str:
    """Return docs/errors.md."""
    trees = (
        ("flows", flows.errors.FlowError),
        ("infra", infra.errors.InfraError),
        ("quantcore", quantcore.errors.QuantcoreError),
    )
    lines = [NOTE, "", ERRORS]
    for package, base in trees:
        lines += [f"## {package}", "", *_error_lines(base, 0), ""]
    return "\n".join(lines)


def main() -> None:
    """Write both pages."""
    for name, page in (("recipe.md", recipe_page()), ("errors.md", errors_page())):
        (DOCS / name).write_text(page, encoding="utf-8")
        sys.stdout.write(f"{DOCS / name}\n")


def _models(model: type[BaseModel], key: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield every section below a model with its dotted key, the model itself first."""
    yield key, model
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        if inner is not None:
            yield from _models(inner, f"{key}.{name}".lstrip("."))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the section that a field holds, alone, optional or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _section(model: type[BaseModel]) -> str:
    """Return what a section is, and a table of its fields."""
    rows = [_row(name, field) for name, field in model.model_fields.items()]
    table = ["| field | type | default | what it says |", "| --- | --- | --- | --- |", *rows]
    return "\n".join([_first_line(model), "", *table, ""])


def _row(name: str, field: FieldInfo) -> str:
    inner = _model_in(field.annotation)
    listed = get_origin(field.annotation) is tuple
    kind = "list of sections" if listed else "a section"
    kind = _kind(field.annotation) if inner is None else kind
    cells = (f"`{name}`", kind, _default(field), field.description or "")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _kind(annotation: Any) -> str:
    """Return a field's type in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(inner[0])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (Union, types.UnionType):
        return " or ".join("nothing" if one is type(None) else _kind(one) for one in inner)
    if origin is tuple:
        return f"list of {_kind(inner[0])}"
    return KINDS.get(annotation, str(annotation))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, BaseModel):
        return "its own defaults"
    if value is None or value == ():
        return "nothing"
    words = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"`{words.lower() if isinstance(value, bool) else words}`"


def _error_lines(error: type[Exception], depth: int) -> Iterator[str]:
    """Yield one list item a class, its subclasses indented below it."""
    code = code_of(error.__new__(error))
    yield f"{'  ' * depth}- `{error.__name__}` ({code}): {_first_line(error)}"
    for inner in error.__subclasses__():
        if inner.__module__ == error.__module__:
            yield from _error_lines(inner, depth + 1)


def _first_line(thing: type) -> str:
    return (inspect.getdoc(thing) or "").splitlines()[0]


if __name__ == "__main__":
    main()
