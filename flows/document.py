"""Read a recipe file into plain values, without YAML's surprises.

PyYAML follows YAML 1.1, where `no` is false, `1e-3` is a string, `0777` is octal, `12:30` is 750,
and a key that is written twice silently loses its first value.  Recipes use the rules of YAML 1.2:
true, false, null, decimal numbers and strings, and a key that is written twice is an error.
"""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from flows.errors import RecipeError


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 -- the base class declares it so

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 -- the base class's signature
        """Refuse a key that is written twice."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.value in seen:
                problem = f"the key {key_node.value!r} is written twice"
                raise yaml.constructor.ConstructorError(
                    problem=problem, problem_mark=key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep=deep)


_SCALARS = {
    "null": (r"^(~|null|)$", ["~", "n", ""]),
    "bool": (r"^(true|false)$", ["t", "f"]),
    "int": (r"^[-+]?(0|[1-9][0-9]*)$", list("-+0123456789")),
    "float": (
        r"^[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?$",
        list("-+.0123456789"),
    ),
}
for _name, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(_pattern), _first)


def parse(text: str, where: str) -> Any:
    """Return the value that ``text`` says.

    Raises:
        RecipeError: It is not YAML; the message names ``where``, the line and the column.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 -- a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise RecipeError(f"{where}{at}: not valid YAML: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{where}: not valid YAML: {error}.") from error


def read(path: Path) -> dict[str, Any]:
    """Return the mapping that the YAML file at ``path`` holds.

    Raises:
        RecipeError: The file cannot be read, is not UTF-8, or holds no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"{path}: the recipe cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{path}: byte {error.start} is not UTF-8. Save the recipe as UTF-8 text."
        ) from error
    document = parse(text, str(path))
    if not isinstance(document, dict):
        raise RecipeError(
            f"{path}: a recipe is a mapping of keys to values, and this file holds "
            f"{'nothing' if document is None else type(document).__name__}. "
            "`roundhouse run --help` shows where to find one to start from."
        )
    return document
