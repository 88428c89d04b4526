"""Files on their way out, whole or from some byte on."""

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from infra.local_hub import xet
from infra.local_hub.asking import Readable, SpeaksXet, TheHub, Unquoted, base_url
from infra.local_hub.largefiles import content_path, has_content, read_pointer
from infra.local_hub.ranges import sliced
from infra.local_hub.refusals import Refusal, no_entry
from infra.local_hub.revisions import resolve
from infra.local_hub.trees import read_tree

router = APIRouter()
# A file is data, whatever it looks like: no browser may run what somebody has published.
INERT = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
BINARY, TEXT = "application/octet-stream", "text/plain; charset=utf-8"


@router.api_route(
    "/{kind}/{namespace}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"]
)
@router.api_route("/{namespace}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
def resolved(
    request: Request,
    hub: TheHub,
    reading: Readable,
    speaks_xet: SpeaksXet,
    revision: Unquoted,
    path: Unquoted,
) -> Response:
    """Give a file of a revision, or only tell of it."""
    repository = reading.repository
    with repository.objects() as objects:
        sha = resolve(revision, objects, repository.references())
        entry = read_tree(objects, objects.commit(sha).tree.decode()).files.get(path)
        headers = {**INERT, "X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        if entry is None:
            refusal = no_entry(path)
            raise Refusal(404, refusal.message, refusal.code, {"X-Repo-Commit": sha})
        data = objects.blob(entry.sha)
    pointer = read_pointer(data)
    if pointer is None:
        headers["ETag"] = f'"{entry.sha}"'
        return sliced(data, request.headers.get("range"), headers, TEXT)
    if not has_content(repository.folder, pointer):
        raise no_entry(f"{path} (its content was never sent to this Hub)")
    headers |= {
        "ETag": f'"{pointer.oid}"',
        "X-Linked-ETag": f'"{pointer.oid}"',
        "X-Linked-Size": str(pointer.size),
    }
    if speaks_xet and (chunks := xet.hash_of(repository.folder, pointer.oid)):
        api = f"{base_url(request, hub)}/api/{repository.kind}/{repository.id}"
        headers["X-Xet-Hash"] = chunks
        headers["Link"] = f'<{api}/xet-read-token/{sha}>; rel="xet-auth"'
    return FileResponse(
        content_path(repository.folder, pointer.oid), headers=headers, media_type=BINARY
    )
