"""Addresses that people follow: the files of a revision as a page, and a file by its usual name.

The real Hub shows more there.  A link to a pinned revision, as a card or a run's page has it, must
lead somewhere on this Hub, too.
"""

from html import escape
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse

from infra.local_hub.api.downloads import INERT
from infra.local_hub.asking import Readable, Unquoted
from infra.local_hub.listing import Listing
from infra.local_hub.revisions import resolve
from infra.local_hub.trees import read_tree

router = APIRouter()
PAGE = """\
<!doctype html>
<meta charset="utf-8">
<title>{title}</title>
<h1>{title}</h1>
<p>commit {sha}</p>
<table>
{rows}
</table>
"""


@router.get("/{namespace}/{name}/tree/{revision}")
def tree(reading: Readable, revision: Unquoted) -> HTMLResponse:
    """Show the files of a revision, each a link to its content."""
    repository = reading.repository
    with repository.objects() as objects:
        sha = resolve(revision, objects, repository.references())
        found = read_tree(objects, objects.commit(sha).tree.decode())
        listing = Listing(repository, objects, found, speaks_xet=False)
        files = [listing.file(path) for path in sorted(found.files)]
    rows = "\n".join(
        f'<tr><td><a href="/{quote(repository.id)}/resolve/{sha}/{quote(each["path"])}">'
        f'{escape(each["path"])}</a><td align="right">{each["size"]:,} bytes'
        for each in files
    )
    title = f"{repository.id} at {revision}"
    return HTMLResponse(PAGE.format(title=escape(title), sha=sha, rows=rows), headers=INERT)


@router.get("/{namespace}/{name}/blob/{revision}/{path:path}")
def blob(reading: Readable, revision: str, path: str) -> RedirectResponse:
    """Lead to a file, whose page this Hub does not draw."""
    where = f"/{quote(reading.repository.id)}/resolve/{quote(revision, safe='')}/{quote(path)}"
    return RedirectResponse(where, 302)
