"""Where the token comes from; Secret blocks are tried on a real server in tests/publishing."""

from pathlib import Path

import pytest

from infra.errors import MissingTokenError
from tasks import credentials

SECRET = "hf_Str1ctlyPrivate"  # noqa: S105 -- it opens nothing


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`HF_TOKEN`, as the Hub's client itself would take it."""
    monkeypatch.setenv("HF_TOKEN", SECRET)

    assert credentials.token("environment").reveal() == SECRET


def test_a_file(tmp_path: Path) -> None:
    """A path, with ~ for the home folder."""
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o600)

    assert credentials.token(f"file:{path}").reveal() == SECRET


def test_nothing_is_required_to_read_what_is_public(tmp_path: Path) -> None:
    """Without a token in the environment there is none; a file that is named must be there."""
    assert credentials.token("environment", required=False) is None
    with pytest.raises(MissingTokenError):
        credentials.token("environment")
    with pytest.raises(MissingTokenError):
        credentials.token(f"file:{tmp_path / 'absent'}", required=False)


@pytest.mark.parametrize("source", [SECRET, "", "env", "Block:x", f"token:{SECRET}"])
def test_another_source(source: str) -> None:
    """The error lists what there is, and does not repeat what may be the token itself."""
    with pytest.raises(MissingTokenError, match=r"environment .*block:NAME .*file:PATH") as failure:
        credentials.token(source)

    assert SECRET not in str(failure.value)
