"""Markdown as a reader of it sees it: its tables, its blocks of code, its pictures and links."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token


class Code(NamedTuple):
    """One fenced block of code."""

    language: str
    text: str


class Page(NamedTuple):
    """What a page holds, in the order in which it does."""

    metadata: dict[str, Any]  # its front matter
    headings: list[str]
    tables: list[list[list[str]]]  # rows of cells, as they are seen
    codes: list[Code]
    bullets: list[str]
    pictures: list[str]
    links: list[str]
    text: str  # all that can be seen, but for blocks of code

    def table(self, first: str) -> list[list[str]]:
        """Return the table whose head begins with ``first``, head included."""
        return next(rows for rows in self.tables if rows[0][0] == first)

    def programs(self, language: str) -> list[str]:
        """Return the blocks of code of one language."""
        return [code.text for code in self.codes if code.language == language]


def read(page: str) -> Page:
    """Read a page with a front matter."""
    head, body = page.removeprefix("---\n").split("\n---\n", 1)
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(body)
    inlines = [token for token in tokens if token.type == "inline"]
    children = [child for token in inlines for child in token.children or ()]
    return Page(
        metadata=yaml.safe_load(head),
        headings=_after(tokens, "heading_open"),
        tables=list(_tables(tokens)),
        codes=[Code(token.info, token.content) for token in tokens if token.type == "fence"],
        bullets=_in_bullets(tokens),
        pictures=[str(each.attrs["src"]) for each in children if each.type == "image"],
        links=[str(each.attrs["href"]) for each in children if each.type == "link_open"],
        text="\n".join(seen(token) for token in inlines),
    )


def seen(inline: Token) -> str:
    """Return what can be seen of a piece of text."""
    return "".join(_shown(child) for child in inline.children or ())


def _shown(child: Token) -> str:
    if child.type == "html_inline":
        return "\n" if child.content == "<br>" else ""
    if child.type == "softbreak":
        return " "
    return child.content


def _after(tokens: Sequence[Token], kind: str) -> list[str]:
    return [seen(after) for token, after in itertools.pairwise(tokens) if token.type == kind]


def _in_bullets(tokens: Sequence[Token]) -> list[str]:
    found, inside = [], 0
    for token in tokens:
        inside += {"list_item_open": 1, "list_item_close": -1}.get(token.type, 0)
        if inside and token.type == "inline":
            found.append(seen(token))
    return found


def _tables(tokens: Sequence[Token]) -> Iterator[list[list[str]]]:
    rows: list[list[str]] = []
    for token, after in itertools.pairwise(tokens):
        if token.type == "table_open":
            rows = []
        elif token.type == "tr_open":
            rows.append([])
        elif token.type in ("td_open", "th_open"):
            rows[-1].append(seen(after))
        elif token.type == "table_close":
            yield rows
