"""PostgreSQL and Redis as processes of their own, with their data in folders of their own."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support.supervised import Part, Supervisor, answers, free_ports

DEBIAN = Path("/usr/lib/postgresql")  # which keeps servers of several versions side by side
USER = "postgres"  # whom Debian's package creates; PostgreSQL refuses to run as root


def postgres(folder: Path, port: int) -> Part:
    """Return a PostgreSQL server, whose data are created here if there are none."""
    data = folder / "postgres"
    if not data.exists():
        data.mkdir(mode=0o700)
        _give(data)
        _as_user(_postgres_program("initdb"), "-D", str(data), "-U", USER, "--auth=trust")
    command = [
        *_becoming_user(), _postgres_program("postgres"), "-D", str(data), "-p", str(port),
        "-h", "127.0.0.1", "-k", str(data), "-c", "fsync=off",  # processes are killed, not the host
    ]  # fmt: skip
    return Part("postgres", command, dict(os.environ), lambda: answers(port))


def postgres_url(port: int) -> str:
    """Return where Prefect finds its database."""
    return f"postgresql+asyncpg://{USER}@127.0.0.1:{port}/postgres"


def redis_server(folder: Path, port: int) -> Part:
    """Return a Redis server that keeps what it is told on disk."""
    data = folder / "redis"
    data.mkdir(exist_ok=True)
    command = [
        program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(data),
        "--save", "", "--appendonly", "yes",
    ]  # fmt: skip
    return Part("redis", command, dict(os.environ), lambda: _has_loaded(port))


def _has_loaded(port: int) -> bool:
    try:
        with redis.Redis(port=port) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def program(name: str) -> str:
    """Return where a program of the system is."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        pytest.fail(f"{name} is not installed; .ci/packages.sh installs what these tests need")
    return found


def _postgres_program(name: str) -> str:
    found = sorted(DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(found[-1]) if found else program(name)


def _becoming_user() -> list[str]:
    """Return what makes a command run as a user with few rights, if we have too many."""
    if os.getuid() != 0:
        return []
    return [program("setpriv"), f"--reuid={USER}", f"--regid={USER}", "--init-groups"]


def _as_user(*command: str) -> None:
    told = subprocess.run(
        [*_becoming_user(), *command], capture_output=True, text=True, check=False, cwd="/"
    )
    assert told.returncode == 0, told.stderr


def _give(folder: Path) -> None:
    if os.getuid() == 0:
        known = pwd.getpwnam(USER)
        os.chown(folder, known.pw_uid, known.pw_gid)


@contextlib.contextmanager
def running_postgres() -> Iterator[str]:
    """Run a PostgreSQL server while the block runs, and yield the address of its database."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)  # its user is another one
        with Supervisor(Path(place)) as supervisor:
            supervisor.start(postgres(Path(place), port))
            supervisor.ready("postgres")
            yield f"postgresql://{USER}@127.0.0.1:{port}/postgres"
