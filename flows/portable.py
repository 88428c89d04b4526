"""A recipe as it can be published: nothing in it says where somebody's files were.

The recipe beside a release must be read again by `roundhouse run` and give the same weights.  So
revisions are the commits that they stood for, a file of somebody's machine or bucket is called by
its name, and where work is kept, who does it and where the release goes are left out: whoever makes
it again wants it elsewhere.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from flows.recipe import Recipe
from infra.s3.address import SCHEME

NOT_OF_THE_RELEASE = {"publish", "release", "store", "workers"}
_PLACES = ("/", SCHEME)


def portable_recipe(
    recipe: Recipe, commit: str | None, revisions: Mapping[str, str | None]
) -> dict[str, Any]:
    """Return a recipe of JSON's types, without places and with its revisions resolved.

    Args:
        recipe: What was asked for.
        commit: The commit of the 16-bit model; None for a folder.
        revisions: The commits of calibration sets and held-out text, by their names.
    """
    told = recipe.model_dump(mode="json", exclude=NOT_OF_THE_RELEASE, exclude_none=True)
    if commit is not None:
        told["model"]["revision"] = commit
    held_out = told["evaluation"].get("text")
    for one in (*told["calibration"], *([held_out] if held_out else [])):
        if revisions.get(one["name"]) is not None:
            one["revision"] = revisions[one["name"]]
    return dict(_renamed(told, short_names(_paths(told))))


def local_files(recipe: Recipe) -> tuple[str, ...]:
    """Return the names under which the portable recipe finds local files and folders."""
    told = recipe.model_dump(mode="json", exclude=NOT_OF_THE_RELEASE)
    names = short_names(_paths(told))
    made = str(recipe.export.output_dir)
    return tuple(sorted(name for path, name in names.items() if path != made))


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """Return for each path as much of its end as tells it from the others."""
    different = {path: PurePosixPath(path).parts for path in paths}
    return {path: _ending(parts, different.values()) for path, parts in different.items()}


def model_name(recipe: Recipe) -> str:
    """Return what the 16-bit model is called: a repository, or a folder without its place."""
    source = recipe.model.source
    return PurePosixPath(source).name if source.startswith(_PLACES) else source


def _ending(parts: tuple[str, ...], all_parts: Iterable[tuple[str, ...]]) -> str:
    others = [each for each in all_parts if each != parts]
    for length in range(1, len(parts)):
        if all(each[-length:] != parts[-length:] for each in others):
            return "/".join(parts[-length:])
    return "/".join(parts[1:])


def _paths(value: Any) -> Iterator[str]:
    """Yield every absolute path, and every address in a bucket, in a parsed recipe."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _paths(each)
    elif isinstance(value, str) and value.startswith(_PLACES):
        yield value


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _renamed(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    return names.get(value, value) if isinstance(value, str) else value
