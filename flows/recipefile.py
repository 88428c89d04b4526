"""From a YAML file and overrides to a checked `Recipe`, or to an error that helps.

The order is: read, make paths absolute, apply `--set a.b=c`, check.  A path in a file is relative
to that file; a path in an override is relative to the current folder, as in any other command.
Every complaint names the file, the key and the value; of a misspelled key, the nearest right one.
"""

import difflib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from flows import document
from flows.errors import RecipeError
from flows.recipe import Recipe

_NOT_REPEATED = re.compile("token|secret|password", re.IGNORECASE)  # a value may be the real one
PACKAGED = Path(__file__).resolve().parent / "recipes"
PATHS = (
    "export.output_dir", "calibration.*.images", "evaluation.text.images", "publish.signing_key",
)  # fmt: skip
PATHS_OR_IDS = (
    "model.source", "calibration.*.source", "evaluation.text.source", "benchmarks.source",
)  # fmt: skip


def load(recipe: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe by file name or by packaged name, and apply ``overrides``.

    Args:
        recipe: A YAML file, or the name of a recipe that Roundhouse carries.
        overrides: Strings ``key.path=value``; values are YAML.

    Raises:
        RecipeError: The recipe cannot be found, read, or made sense of.
    """
    path = find(recipe)
    base = Path.cwd() if path.parent == PACKAGED else path.resolve().parent
    content = document.read(path)
    anchor(content, base)
    for override in overrides:
        apply(content, override)
    anchor(content, Path.cwd())
    return check(content, str(path))


def packaged() -> tuple[str, ...]:
    """Return the names of the recipes that Roundhouse carries."""
    return tuple(sorted(path.stem for path in PACKAGED.glob("*.yaml")))


def find(recipe: str) -> Path:
    """Return the file of a recipe that is given by path or by packaged name.

    Raises:
        RecipeError: There is neither.
    """
    path = Path(recipe).expanduser()
    if path.is_file():
        return path
    if recipe in packaged():
        return PACKAGED / f"{recipe}.yaml"
    near = difflib.get_close_matches(recipe, packaged(), n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise RecipeError(
        f"{recipe}: there is no such recipe file, nor a packaged recipe of that name.{hint} "
        f"Packaged recipes: {', '.join(packaged())}."
    )


def absolute(recipe: str) -> str:
    """Return a recipe's name as another process in another folder finds it.

    Raises:
        RecipeError: There is no such recipe.
    """
    path = find(recipe)
    return recipe if path.parent == PACKAGED else str(path.resolve())


def anchor(content: Any, base: Path) -> None:
    """Make the paths in a parsed recipe absolute, in place; ``~`` is the home folder.

    A value that may also be a Hub id counts as a path when it starts with ``/``, ``.`` or ``~``, or
    when a file or folder of that name is there.
    """
    for keys in PATHS:
        for holder, key in _holders(content, keys.split(".")):
            holder[key] = str(base / Path(holder[key]).expanduser())
    for keys in PATHS_OR_IDS:
        for holder, key in _holders(content, keys.split(".")):
            value = holder[key]
            if value.startswith(("/", ".", "~")) or (value and (base / value).exists()):
                holder[key] = str(base / Path(value).expanduser())


def _holders(content: Any, keys: Sequence[str]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each mapping that holds a string under ``keys``; ``*`` is every item of a list."""
    first, *rest = keys
    if first == "*":
        for item in content if isinstance(content, list) else ():
            yield from _holders(item, rest)
    elif isinstance(content, dict) and first in content:
        if rest:
            yield from _holders(content[first], rest)
        elif isinstance(content[first], str):
            yield content, first


def apply(content: dict[str, Any], override: str) -> None:
    """Set one value of a parsed recipe, in place.

    A list item is named by its number or by its ``name``: ``calibration.pile.nsamples=64``.

    Raises:
        RecipeError: The override has no ``=``, or its path leads through something that is not
            there.
    """
    path, equals, value = override.partition("=")
    if not equals or not path.strip():
        raise RecipeError(
            f"--set {override}: an override is written key.path=value, "
            "as in --set quantization.iters=200."
        )
    keys = re.sub(r"\[(\w+)\]", r".\1", path.strip()).split(".")
    holder: Any = content
    for key in keys[:-1]:
        holder = _step(holder, key, override)
    parsed = document.parse(value, f"--set {override}")
    if isinstance(holder, list):
        holder[_item(holder, keys[-1], override)] = parsed
    else:
        holder[keys[-1]] = parsed


def _step(holder: Any, key: str, override: str) -> Any:
    """Go one key down; a section that the file leaves out is begun."""
    below = (
        holder[_item(holder, key, override)]
        if isinstance(holder, list)
        else holder.setdefault(key, {})
    )
    if below is None:
        below = holder[key] = {}
    if not isinstance(below, dict | list):
        raise RecipeError(
            f"--set {override}: {key} is the value {below!r}, so it has no keys inside it."
        )
    return below


def _item(items: list[Any], key: str, override: str) -> int:
    """Return the position of a list item that is given by number or by name."""
    names = [item.get("name") if isinstance(item, dict) else None for item in items]
    if key in names:
        return names.index(key)
    if key.isdecimal() and int(key) < len(items):
        return int(key)
    have = ", ".join(str(name) for name in names if name is not None) or f"{len(items)} items"
    raise RecipeError(f"--set {override}: the list has no item {key}; it has {have}.")


def check(content: Any, where: str, *, label: Callable[[str], str] = str) -> Recipe:
    """Return the recipe that ``content`` describes.

    Args:
        content: A parsed recipe, of JSON's types.
        where: What to call its origin in an error.
        label: How to call a key path in an error; a command line calls it by its flag.

    Raises:
        RecipeError: A key is unknown or missing, or a value is not what its key takes.
    """
    try:
        return Recipe.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        problems = [_complaint(detail, label) for detail in error.errors(include_url=False)]
    number = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
    raise RecipeError(f"{where}: {number}. " + " ".join(problems))


def _complaint(detail: ErrorDetails, label: Callable[[str], str]) -> str:
    """Say what is wrong with one value, and what would be right."""
    keys = [key for key in detail["loc"] if isinstance(key, int | str)]
    place = label(_joined(keys)) or "the recipe"
    known = _keys_beside(keys)
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(keys[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"the keys here are {', '.join(known)}."
        return f"{place}: there is no such key; {hint}"
    if detail["type"] == "missing":
        return f"{place}: missing. {_description(keys)}"
    if detail["type"] == "value_error":
        return f"{place}: {detail['msg'].removeprefix('Value error, ')}."
    secret = _NOT_REPEATED.search(place) is not None
    value = "(not repeated here)" if secret else _short(detail["input"])
    return f"{place} = {value}: {detail['msg']}. {_description(keys)}".rstrip()


def _joined(keys: Sequence[int | str]) -> str:
    """Return a key path as a recipe's reader writes it: ``calibration[0].nsamples``."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")


def _short(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."  # noqa: PLR2004 -- a line of a terminal


def _model_at(keys: Sequence[int | str]) -> type[BaseModel] | None:
    """Return the model whose field the last of ``keys`` is, or would be."""
    model: type[BaseModel] | None = Recipe
    for key in keys[:-1]:
        if isinstance(key, int) or model is None:
            continue
        field = model.model_fields.get(key)
        model = None if field is None else _model_in(field.annotation)
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the first model that an annotation such as ``tuple[Model, ...] | None`` names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _keys_beside(keys: Sequence[int | str]) -> list[str]:
    model = _model_at(keys)
    return [] if model is None else list(model.model_fields)


def _description(keys: Sequence[int | str]) -> str:
    model = _model_at(keys)
    field = None if model is None or not keys else model.model_fields.get(str(keys[-1]))
    return "" if field is None or not field.description else field.description
