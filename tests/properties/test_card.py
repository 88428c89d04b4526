"""Whatever a name, a question or an answer says, the card around it stays as it is."""

import ast
import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from infra.card import escape
from infra.card.facts import DataFile
from tests.support import markdown
from tests.support.card import (
    a_finding,
    a_verdict,
    evaluation_facts,
    generations,
    judged,
    local_set,
    release_facts,
    rendered,
    source_facts,
)

PIECES = (
    *(
        "|",
        "`",
        "```",
        "~~~",
        "---",
        "\n",
        "\r",
        "\n\n",
        "\\",
        "<b>",
        "&amp;",
        "](x)",
        "![",
        "**",
        "_",
    ),
    *("$$", "#", "- ", "1. ", ">", "<!--", "<details>", "http://a.b", "www.a.b", "a@b.c"),
    *("\u2028", "\x00", "\x0b", "\u202e", "\u200b", "'", '"', '"""', "{{", "{% x %}", ": ", "!!a"),
)
texts = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=6)), max_size=8).map("".join)
LINE_ENDS = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")


def shown(text: str, *, between: str) -> str:
    """Return what a reader should see of ``text``."""
    lines = [_visible(line) for line in LINE_ENDS.split(text.strip() if between else text)]
    return between.join(lines)


def _visible(line: str) -> str:
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return "".join(
        each if each in "\u200c\u200d" or unicodedata.category(each) not in hidden else "\ufffd"
        for each in line.replace("\t", " ")
    )


def plain(text: str) -> str:
    """Return text without regard to the spaces in it, which HTML shows as one."""
    return " ".join(text.split())


PLAIN = markdown.read(rendered(release_facts()))
SHAPES = [[len(row) for row in table] for table in PLAIN.tables]


@given(question=texts, int4=texts, full=texts)
def test_a_question_and_its_answers_stay_in_their_cells(
    question: str, int4: str, full: str
) -> None:
    """Each is seen as it was said; no table, picture, link or block of code more or less."""
    answered = generations(question=question, int4=int4, full=full, full_capped=False)

    page = markdown.read(rendered(release_facts(generations=answered)))

    assert [[len(row) for row in table] for table in page.tables] == SHAPES
    cells = page.table("picture")[1][1:]
    assert [plain(cell) for cell in cells] == [
        plain(shown(each, between=" \n ")) for each in (question, int4, full)
    ]
    assert (page.links, page.pictures) == (PLAIN.links, PLAIN.pictures)
    assert page.headings == PLAIN.headings


@given(question=texts)
def test_a_program_asks_the_very_question(question: str) -> None:
    """Whatever is in it, the program is one, and its string is the question to the letter."""
    page = markdown.read(rendered(release_facts(generations=generations(question=question))))

    for program in page.programs("python"):
        values = {
            target.id: node.value
            for node in ast.parse(program).body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        assert ast.literal_eval(values["question"]) == question


@given(name=texts, licence=texts, note=texts, reason=texts, words=texts)
def test_names_licences_and_reasons_break_nothing(
    name: str, licence: str, note: str, reason: str, words: str
) -> None:
    """They are in tables, in lists, in sentences and in the metadata."""
    evaluation = evaluation_facts()
    facts = release_facts(
        source=source_facts(name=name, repo_id=None, license=licence),
        calibration=(local_set(source=name, licence=note, files=(_file(name),)),),
        approval={"by": name, "reason": reason},
        evaluation=judged(evaluation, a_verdict(a_finding(words=words))),
    )
    plain_facts = release_facts(
        source=source_facts(repo_id=None),
        calibration=(local_set(files=(_file("a"),)),),
        approval={"by": "a", "reason": "b"},
        evaluation=judged(evaluation, a_verdict(a_finding(words="c"))),
    )
    page, other = markdown.read(rendered(facts)), markdown.read(rendered(plain_facts))

    assert page.metadata.get("license", "") == escape.plain(licence)
    assert page.headings == other.headings
    assert [list(map(len, table)) for table in page.tables] == [
        list(map(len, table)) for table in other.tables
    ]
    assert len(page.bullets) == len(other.bullets)
    assert [code.language for code in page.codes] == [code.language for code in other.codes]
    assert (page.links, page.pictures) == (other.links, other.pictures)


def _file(name: str) -> DataFile:
    return DataFile(name=name, bytes=1, sha256="0" * 64)
