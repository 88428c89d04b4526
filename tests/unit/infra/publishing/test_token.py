"""A token is shown to the client and to nobody else, by whatever means one looks."""

import copy
import json
import logging
import pickle
import pprint
import traceback
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from infra.errors import MissingTokenError
from infra.publishing.hub import open_hub
from infra.publishing.token import HubToken, from_environment, from_file

SECRET = "hf_Str1ctlyPrivate"  # noqa: S105 -- it opens nothing


def variables(error: BaseException) -> str:
    """Return the variables of the product's own frames, as some tools print them."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in told.stack if "/tests/" not in frame.filename]
    assert frames
    return str([frame.locals for frame in frames])


@pytest.mark.parametrize(
    "look",
    [
        repr,
        str,
        format,
        "{:>40}".format,
        "%s".__mod__,
        "%r".__mod__,
        pprint.pformat,
        lambda t: f"{[t]}",
    ],
    ids=["repr", "str", "format", "width", "percent-s", "percent-r", "pprint", "in a list"],
)
def test_no_text_shows_it(look: object) -> None:
    """Every way to make text of it tells where it came from, and not what it is."""
    text = look(HubToken(SECRET, "the vault"))  # type: ignore[operator]

    assert SECRET not in text
    assert "the vault" in text


@pytest.mark.parametrize("write", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps])
def test_it_is_not_written_down(write: object) -> None:
    """Neither it nor the Hub that holds it can be pickled, copied or written as JSON."""
    token = HubToken(SECRET, "the vault")

    for holder in (token, open_hub("http://127.0.0.1:9", token)):
        with pytest.raises(TypeError) as failure:
            write(holder)  # type: ignore[operator]
        assert SECRET not in str(failure.value)


def test_a_hub_does_not_show_it() -> None:
    """The Hub that holds it shows its address."""
    hub = open_hub("http://127.0.0.1:9/", HubToken(SECRET, "the vault"))

    assert repr(hub) == "Hub(http://127.0.0.1:9)"


def test_logs_do_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    """A log record with the token among its arguments holds its name alone."""
    logging.getLogger("test").warning("pushing with %s", HubToken(SECRET, "the vault"))

    assert SECRET not in caplog.text
    assert "the vault" in caplog.text


def test_pydantic_does_not_show_it() -> None:
    """A mistake in a value that holds one is told without it."""
    with pytest.raises(ValueError, match="validation error") as failure:
        TypeAdapter(dict[str, int]).validate_python({"token": HubToken(SECRET, "the vault")})

    assert SECRET not in str(failure.value)


def test_it_is_taken_out_of_messages() -> None:
    """Where a server repeats it, it is hidden."""
    assert HubToken(SECRET, "x").hide(f"no such token {SECRET}!") == "no such token (the token)!"


@pytest.mark.parametrize("text", ["hf_a b", "hf_a\nb", "hf_ä", "hf_\x00"])
def test_what_cannot_be_sent(text: str) -> None:
    """A header cannot carry it; the client's own error would show it, and so would variables."""
    with pytest.raises(MissingTokenError, match="cannot be sent") as failure:
        HubToken(text, "the vault")

    assert text not in str(failure.value)
    assert text not in variables(failure.value)


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`HF_TOKEN` is found, without the line break that a shell left there."""
    monkeypatch.setenv("HF_TOKEN", f"{SECRET}\n")

    assert from_environment().reveal() == SECRET


def test_no_token_in_the_environment() -> None:
    """The error names the variable and the command."""
    with pytest.raises(MissingTokenError, match=r"HF_TOKEN or the login of `hf auth login`"):
        from_environment()


def test_a_file(tmp_path: Path) -> None:
    """A file that its owner alone may read."""
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o600)

    token = from_file(path)

    assert token.reveal() == SECRET
    assert token.origin == str(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_may_read(tmp_path: Path, mode: int) -> None:
    """It may be known already: the error says which mode it must have."""
    path = tmp_path / "token"
    path.write_text(SECRET)
    path.chmod(mode)

    with pytest.raises(MissingTokenError, match=f"mode is {mode:04o}.*chmod 600") as failure:
        from_file(path)

    assert SECRET not in variables(failure.value)


@pytest.mark.parametrize("content", ["", "  \n", f"{SECRET}\n{SECRET}"])
def test_a_file_without_a_token(tmp_path: Path, content: str) -> None:
    """Empty, or more than one line: the error names the file and shows nothing of it."""
    path = tmp_path / "token"
    path.write_text(content)
    path.chmod(0o600)

    with pytest.raises(MissingTokenError) as failure:
        from_file(path)

    assert str(path) in str(failure.value)
    assert SECRET not in variables(failure.value)


def test_no_file(tmp_path: Path) -> None:
    """The error names the path, and the mode that the file is to have."""
    with pytest.raises(MissingTokenError, match=r"no file .*/absent.*0600"):
        from_file(tmp_path / "absent")
