"""What comes from outside is shown, and never obeyed."""

import ast
import shlex

import pytest

from infra.card import escape


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("MMBench_DEV_EN_V11", "MMBench_DEV_EN_V11"),
        ("_so_", "\\_so\\_"),
        ("a | b", "a \\| b"),
        ("a\\", "a\\\\"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("[a](b) `c` *d* ~e~ $f$", "\\[a\\](b) \\`c\\` \\*d\\* \\~e\\~ \\$f\\$"),
        ("2 - 1.5 + 3", "2 - 1.5 + 3"),
        ("see http://a.b and www.a.b", "see http&#58;//a.b and www&#46;a.b"),
        ("you@home", "you&#64;home"),
        ("a\tb\x00c\u202e", "a b\ufffdc\ufffd"),
        ("👩\u200d🔬 图片", "👩\u200d🔬 图片"),
    ],
)
def test_text_is_shown_as_it_is(value: str, written: str) -> None:
    """Marks are escaped where they would mean something, and plain words stay readable."""
    assert escape.text(value) == written
    assert escape.cell(value) == written


def test_a_line_end_is_a_space_in_a_sentence_and_a_break_in_a_cell() -> None:
    """Neither ends the line that it is printed in."""
    value = "one\ntwo\r\nthree\u2028four"

    assert escape.text(value) == escape.plain(value) == "one two three four"
    assert escape.cell(value) == "one<br>two<br>three<br>four"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("v1.0.0", "`v1.0.0`"),
        ("a`b", "``a`b``"),
        ("`a", "`` `a ``"),
        ("a|b", "<code>a\\|b</code>"),
        ("", "<code></code>"),
        ("a\nb", "`a b`"),
    ],
)
def test_code_within_a_line_ends_where_it_should(value: str, written: str) -> None:
    """Its ticks are more than those within; a bar would end a cell even in code."""
    assert escape.code(value) == written


@pytest.mark.parametrize(
    "value", ["plain", 'a"b\\', "a\nb\n", "\n", "", "\u2028\x00\U000e0001", "{"]
)
def test_a_string_of_python_is_the_very_text(value: str) -> None:
    """Read by Python, and with nothing in it that cannot be seen."""
    written = escape.python(value)

    assert ast.literal_eval(written) == value
    assert all(each.isprintable() or each == "\n" for each in written)


@pytest.mark.parametrize("value", ["plain", "a b", "$(rm)", "'; x", "a`b"])
def test_a_word_of_the_shell_is_one_word(value: str) -> None:
    """Whatever it holds, nothing is run or expanded."""
    assert shlex.split(escape.shell(value)) == [value]
