"""The part of a small file that a request asks for."""

import re

from fastapi.responses import Response

_RANGE = re.compile(r"bytes=(\d{1,15})?-(\d{1,15})?")


def sliced(data: bytes, asked: str | None, headers: dict[str, str], media_type: str) -> Response:
    """Return all of ``data``, or the one range of bytes that a Range header asks for.

    What is no single range of bytes is answered with everything, as HTTP allows.
    """
    found = _RANGE.fullmatch(asked or "")
    if found is None or found[1] is found[2] is None:
        return Response(data, headers=headers, media_type=media_type)
    size = len(data)
    if found[1] is None:  # the last so many bytes
        start, end = max(0, size - int(found[2])), size
    else:
        start = int(found[1])
        end = min(size, int(found[2]) + 1) if found[2] is not None else size
    if start >= end:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    where = {"Content-Range": f"bytes {start}-{end - 1}/{size}"}
    return Response(data[start:end], 206, {**headers, **where}, media_type)
