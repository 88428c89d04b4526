"""How fast objects go into the artifact store and come out, beside a plain copy of the same file.

    python -m benchmarks.store_throughput --megabytes 1 128 --repeats 5

A plain copy is `shutil.copyfile` and a flush to the disk.  The store does more: it takes the
SHA-256 of everything that goes in, and again at every opening.  Servers are processes of their own
on this machine, so client and server share its cores, and no wire is measured.  moto is a server
in Python, for tests; rclone is one in Go, which no run may use, since it ignores conditions: it
shows how much of moto's time is moto's.

All ways take turns in every repeat, the copy first or last by turns; what is told is the median of
each, and of the ratios to the copy within a turn.  Files are read from the memory of the operating
system, not from the disk.
"""

import argparse
import contextlib
import datetime as dt
import os
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from infra.files import sha256_of, sync
from infra.s3.address import Object, Service
from infra.s3.client import S3
from infra.store import ArtifactRef, FolderStore, Store
from infra.store.bucket import Bucket
from infra.store.s3 import S3Store

COPY = "plain copy"
BUCKET = "throughput"
SERVERS = ("moto", "rclone")
MB = 1 << 20


class Timing(NamedTuple):
    """One way, once."""

    megabytes: int
    way: str
    seconds: float
    processor: float  # seconds of this process

    @property
    def rate(self) -> float:
        """Return GB/s, of 10^9 bytes."""
        return self.megabytes * MB / 1e9 / self.seconds


class Stand(NamedTuple):
    """What is measured."""

    work: Path
    stores: Mapping[str, Store]

    def turn(self, megabytes: int, *, copy_first: bool) -> Iterator[Timing]:
        """Yield every way once, on content that no store has seen and that is on the disk."""
        source, copy = self.work / "source", self.work / "copy"
        copy.unlink(missing_ok=True)  # every way writes a new file
        source.write_bytes(secrets.token_bytes(MB) * (megabytes - 1) + secrets.token_bytes(MB))
        sync(source)
        if copy_first:
            yield _timed(megabytes, COPY, lambda: _copy(source, copy))
        ref = ArtifactRef(uri="", sha256=sha256_of(source))
        for name, store in self.stores.items():
            yield _timed(megabytes, f"{name}: put", partial(store.put_file, source))
            for way in ("open",) if name == "folder" else ("open", "open again"):
                yield _timed(megabytes, f"{name}: {way}", partial(store.open, ref))
        if not copy_first:
            yield _timed(megabytes, COPY, lambda: _copy(source, copy))


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    sync(target)


def _timed(megabytes: int, way: str, work: Callable[[], object]) -> Timing:
    started, before = time.perf_counter(), time.process_time()
    work()
    return Timing(megabytes, way, time.perf_counter() - started, time.process_time() - before)


@contextlib.contextmanager
def serving(server: str, work: Path) -> Iterator[Store]:
    """Run an S3 server, and yield a store in it that no probe has refused."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    (work / "served" / BUCKET).mkdir(parents=True, exist_ok=True)
    command = {
        "moto": [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port],
        "rclone": [
            *(str(Path(sys.executable).with_name("rclone")), "serve", "s3"),
            *("--addr", f"127.0.0.1:{port}", str(work / "served")),
        ],
    }[server]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as process:
        try:
            service = Service(f"http://127.0.0.1:{port}", "us-east-1", "when_required")
            client = S3(service)
            if server == "moto":
                client.call("create_bucket", Object(BUCKET, ""), "making")
            client.require_bucket(Object(BUCKET, ""))
            yield S3Store(Bucket(client, Object(BUCKET, "runs")), work / f"copies-{server}")
        finally:
            process.kill()


def rows(timings: Sequence[Timing]) -> Iterator[str]:
    """Write the lines of the table."""
    yield "| object | way | GB/s | of a plain copy | client's processor seconds for 1 GB |"
    yield "| --- | --- | --- | --- | --- |"
    for megabytes in dict.fromkeys(timing.megabytes for timing in timings):
        mine = [timing for timing in timings if timing.megabytes == megabytes]
        copies = [timing.rate for timing in mine if timing.way == COPY]
        for way in dict.fromkeys(timing.way for timing in mine):
            here = [timing for timing in mine if timing.way == way]
            rates = [timing.rate for timing in here]
            spent = statistics.median(t.processor * 1e9 / (megabytes * MB) for t in here)
            ratio = statistics.median(rate / copy for rate, copy in zip(rates, copies, strict=True))
            yield (
                f"| {megabytes} MiB | {way} | {statistics.median(rates):.2f} | {ratio:.2f} x "
                f"| {spent:.1f} |"
            )


def report(options: argparse.Namespace, timings: Sequence[Timing]) -> str:
    """Write the page."""
    title = f"# Store throughput: {options.hardware}, {options.date}"
    sizes = " ".join(map(str, options.megabytes))
    what = __doc__.split("\n\n", 1)[1].split("\n\n", 1)[1].strip()
    command = (
        f"    python -m benchmarks.store_throughput --megabytes {sizes} --repeats {options.repeats}"
    )
    busy = (
        f"In the last quarter of an hour {os.getloadavg()[2]:.1f} processes wanted the "
        f"{os.cpu_count()} cores: where that is more than there are, only ratios and processor "
        "seconds mean something."
    )
    return "\n".join([title, "", what, "", busy, "", *rows(timings), "", command]) + "\n"


def main() -> None:
    """Measure all ways and print the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, nargs="+", default=[1, 128])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--hardware", default=f"{os.cpu_count()}-core-cpu")
    parser.add_argument("--date", default=dt.datetime.now(dt.UTC).date().isoformat())
    parser.add_argument("--out", type=Path, help="folder to write the page to")
    options = parser.parse_args()
    os.environ.update(AWS_ACCESS_KEY_ID="anyone", AWS_SECRET_ACCESS_KEY="anything")  # noqa: S106 -- of servers on loopback that ask for none
    timings: list[Timing] = []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as servers:
        work = Path(folder)
        stores: dict[str, Store] = {"folder": FolderStore(work / "folder")}
        for server in SERVERS:
            stores[f"S3 ({server})"] = servers.enter_context(serving(server, work))
        for repeat in range(options.repeats):
            for megabytes in options.megabytes:
                for timing in Stand(work, stores).turn(megabytes, copy_first=repeat % 2 == 0):
                    timings.append(timing)
                    print(f"{megabytes} MiB, {timing.way}: {timing.rate:.2f} GB/s", flush=True)
    page = report(options, timings)
    print(page)
    if options.out is not None:
        name = f"store-throughput_{options.hardware}_{options.date}.md"
        (options.out / name).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
