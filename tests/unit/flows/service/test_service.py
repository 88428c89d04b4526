"""What a service is asked for is checked before anything is started."""

from pathlib import Path

import pytest

from flows.errors import ServerError
from flows.service.backing import DATABASE, REDIS
from flows.service.service import plan_of
from flows.service.settings import ServiceSettings

TWO = ServiceSettings(api_processes=2)


@pytest.mark.parametrize("database", [None, "postgresql://u@127.0.0.1/roundhouse"])
def test_several_api_processes_need_what_they_share(
    database: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An SQLite file has one writer, and events in memory are heard by one process."""
    monkeypatch.delenv(REDIS, raising=False)
    monkeypatch.delenv(DATABASE, raising=False)
    if database is not None:
        monkeypatch.setenv(DATABASE, database)

    with pytest.raises(ServerError, match=f"--api-processes 2: .* Set {DATABASE} and {REDIS}"):
        plan_of(tmp_path / "workspace", TWO)

    assert not (tmp_path / "workspace").exists()
