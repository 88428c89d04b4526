"""What is in a revision: information, files, commits."""

import html
import itertools
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode

from dulwich.objects import Commit
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse

from infra.local_hub.asking import Readable, SpeaksXet, TheHub, Unquoted, base_url, read_body
from infra.local_hub.history import last_commits
from infra.local_hub.listing import Listing, moment, title_and_body
from infra.local_hub.objects import Objects
from infra.local_hub.refusals import malformed, no_entry
from infra.local_hub.revisions import resolve
from infra.local_hub.trees import read_tree

router = APIRouter()
REPOSITORY = "/api/{kind}/{namespace}/{name}"
FILES_A_PAGE = 1000
EXPANDED_A_PAGE = 50
COMMITS_A_PAGE = 50


@router.get(REPOSITORY)
@router.get(REPOSITORY + "/revision/{revision}")
def information(
    reading: Readable, speaks_xet: SpeaksXet, revision: Unquoted = "main", blobs: str | None = None
) -> dict[str, Any]:
    """Tell of a repository at a revision."""
    repository, about = reading.repository, reading.about
    with repository.objects() as objects:
        sha = resolve(revision, objects, repository.references())
        commit = objects.commit(sha)
        tree = read_tree(objects, commit.tree.decode())
        listing = Listing(repository, objects, tree, speaks_xet=speaks_xet)
        return {
            "_id": about.id,
            "id": repository.id,
            "modelId": repository.id,
            "author": repository.namespace,
            "sha": sha,
            "lastModified": moment(commit.commit_time),
            "createdAt": moment(about.created),
            "private": about.private,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "siblings": [listing.sibling(path, blobs=blobs is not None) for path in tree.files],
        }


@router.get(REPOSITORY + "/tree/{revision}")
@router.get(REPOSITORY + "/tree/{revision}/{path:path}")
def files(  # noqa: PLR0913 -- a query is its parameters
    request: Request,
    hub: TheHub,
    reading: Readable,
    speaks_xet: SpeaksXet,
    revision: Unquoted,
    path: Unquoted = "",
    *,
    recursive: bool = False,
    expand: bool = False,
    cursor: Annotated[int, Query(ge=0)] = 0,
) -> JSONResponse:
    """List the files and folders of a revision, or of one folder of it, page by page."""
    repository, folder = reading.repository, path.strip("/")
    with repository.objects() as objects:
        sha = resolve(revision, objects, repository.references())
        tree = read_tree(objects, objects.commit(sha).tree.decode())
        if folder and folder not in tree.folders:
            raise no_entry(folder)
        before = f"{folder}/" if folder else ""
        names = sorted(
            name
            for name in (*tree.files, *tree.folders)
            if name.startswith(before) and (recursive or "/" not in name[len(before) :])
        )
        size = EXPANDED_A_PAGE if expand else FILES_A_PAGE
        page = names[cursor : cursor + size]
        listing = Listing(repository, objects, tree, speaks_xet=speaks_xet)
        rows = _rows(listing, objects, sha, page, expand=expand)
    more = cursor + size if cursor + size < len(names) else None
    return JSONResponse(rows, headers=_next(request, base_url(request, hub), "cursor", more))


async def _form(request: Request, hub: TheHub) -> dict[str, list[str]]:
    body = await read_body(request, hub.settings.max_json_bytes, "The request")
    try:
        return parse_qs(body.decode(), max_num_fields=hub.settings.max_files)
    except (UnicodeDecodeError, ValueError) as error:
        raise malformed(f"The request is no form: {error}") from error


@router.post(REPOSITORY + "/paths-info/{revision}")
def paths(
    reading: Readable,
    speaks_xet: SpeaksXet,
    revision: Unquoted,
    form: Annotated[dict[str, list[str]], Depends(_form)],
) -> list[dict[str, Any]]:
    """Tell of some files and folders of a revision; those that it does not have are left out."""
    with reading.repository.objects() as objects:
        sha = resolve(revision, objects, reading.repository.references())
        tree = read_tree(objects, objects.commit(sha).tree.decode())
        known = {*tree.files, *tree.folders}
        wanted = [name for name in form.get("paths", []) if name in known]
        expand = form.get("expand", [""])[0].lower() == "true"
        listing = Listing(reading.repository, objects, tree, speaks_xet=speaks_xet)
        return _rows(listing, objects, sha, wanted, expand=expand)


@router.get(REPOSITORY + "/commits/{revision}")
def commits(
    request: Request,
    hub: TheHub,
    reading: Readable,
    revision: Unquoted,
    p: Annotated[int, Query(ge=0)] = 0,
) -> JSONResponse:
    """List a revision and all before it, newest first, page by page."""
    formatted = "formatted" in request.query_params.getlist("expand[]")
    repository = reading.repository
    with repository.objects() as objects:
        sha = resolve(revision, objects, repository.references())
        first = p * COMMITS_A_PAGE
        page = list(itertools.islice(objects.log(sha), first, first + COMMITS_A_PAGE + 1))
    rows = [_commit_row(commit, formatted=formatted) for commit in page[:COMMITS_A_PAGE]]
    more = p + 1 if len(page) > COMMITS_A_PAGE else None
    return JSONResponse(rows, headers=_next(request, base_url(request, hub), "p", more))


def _commit_row(commit: Commit, *, formatted: bool) -> dict[str, Any]:
    title, body = title_and_body(commit)
    author = commit.author.decode(errors="replace").partition(" <")[0]
    row: dict[str, Any] = {
        "id": commit.id.decode(),
        "title": title,
        "message": body,
        "date": moment(commit.commit_time),
        "authors": [{"user": author}],
    }
    if formatted:
        row["formatted"] = {"title": html.escape(title), "message": html.escape(body)}
    return row


def _rows(
    listing: Listing, objects: Objects, sha: str, paths: Sequence[str], *, expand: bool
) -> list[dict[str, Any]]:
    """Describe files and folders; expanded, with the commits that last changed them."""
    rows = [listing.entry(path) for path in paths]
    if not expand:
        return rows
    last = last_commits(objects, sha, paths)
    return [{**row, "lastCommit": last[path]} for path, row in zip(paths, rows, strict=True)]


def _next(request: Request, base: str, name: str, value: int | None) -> dict[str, str]:
    """Return the header that leads to the next page, if there is one."""
    if value is None:
        return {}
    kept = [(key, old) for key, old in request.query_params.multi_items() if key != name]
    query = urlencode([*kept, (name, str(value))])
    return {"Link": f'<{base}{request.url.path}?{query}>; rel="next"'}
