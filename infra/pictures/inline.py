"""A picture inside a page: no file beside it that could be lost, and no address to ask for it."""

import base64

PNG, SVG = "image/png", "image/svg+xml"


def inline(picture: bytes, kind: str, alt: str) -> str:
    """Return ``picture`` as an image in Markdown.

    Args:
        picture: The file.
        kind: Its media type.
        alt: What it shows, for those who do not see it.
    """
    return f"![{alt}](data:{kind};base64,{base64.b64encode(picture).decode()})"
