"""Keep what comes from outside from being read as Markdown, Python or shell.

Names of repositories and files, questions and answers of models are printed in the card.  Whatever
stands in them, a table keeps its cells, a code block its end, and a program its strings.
"""

import json
import re
import shlex
import unicodedata

_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKS = frozenset("\\`*[]|~$")  # of emphasis, code, links and pictures, cells, strikes, formulas
_LINE_ENDS = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_JOINERS = "\u200c\u200d"  # what emoji and several scripts are written with
_ADDRESSES = re.compile(r"(?i)(?<=http)(:)|(?<=https)(:)|(?<=ftp)(:)|(?<=www)(\.)|(@)(?=\w)")
_TICKS = re.compile(r"`+")
_UNSEEN = "\N{REPLACEMENT CHARACTER}"
_FOUR_DIGITS = 0xFFFF


def plain(value: str) -> str:
    """Return ``value`` on one line, of characters that can be seen."""
    return _visible(_LINE_ENDS.sub(" ", value))


def text(value: str) -> str:
    """Return ``value`` so that Markdown shows it as it is, behind the first word of a line.

    Line ends become spaces.  A word's own underscore is left alone, as Markdown does.
    """
    return _escaped(plain(value))


def cell(value: str) -> str:
    """Return ``value`` as a cell of a table; line ends are kept as breaks."""
    return "<br>".join(_escaped(line) for line in _LINE_ENDS.split(value.strip()))


def code(value: str) -> str:
    """Return ``value`` as a piece of code within a line, or within a cell."""
    line = plain(value)
    if not line.strip() or "|" in line:  # in a table a bar ends the cell, in code too
        return f"<code>{_escaped(line)}</code>"
    ticks = "`" * (1 + max((len(run) for run in _TICKS.findall(line)), default=0))
    inner = f" {line} " if line.startswith("`") or line.endswith("`") else line
    return f"{ticks}{inner}{ticks}"


def python(value: str) -> str:
    """Return ``value`` as a string of Python, of characters that can be seen.

    Where it has several lines, so has the program.
    """
    lines = [_literal(line) for line in value.splitlines(keepends=True)] or ['""']
    if len(lines) == 1:
        return lines[0]
    return "\n".join(["(", *(f"    {line}" for line in lines), ")"])


def shell(value: str) -> str:
    """Return ``value`` as one word of a shell, on one line."""
    return shlex.quote(plain(value))


def _escaped(line: str) -> str:
    seen = _visible(line)
    marked = "".join(_mark(seen, place) for place in range(len(seen)))
    return _ADDRESSES.sub(lambda found: f"&#{ord(found[0])};", marked)


def _mark(line: str, place: int) -> str:
    """Return one character of ``line``, escaped where it could mean something."""
    character = line[place]
    if character in _HTML:
        return _HTML[character]
    if character == "_":
        within = line[place - 1 : place].isalnum() and line[place + 1 : place + 2].isalnum()
        return character if within else "\\_"
    return f"\\{character}" if character in _MARKS else character


def _visible(line: str) -> str:
    return "".join(each if _is_seen(each) else _UNSEEN for each in line.replace("\t", " "))


def _is_seen(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character) not in _INVISIBLE


def _literal(line: str) -> str:
    plain = json.dumps(line, ensure_ascii=False)
    return "".join(each if _is_seen(each) else _spelled(each) for each in plain)


def _spelled(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number <= _FOUR_DIGITS else f"\\U{number:08x}"
