"""Tables come from a folder, a bucket or their address; wrong bytes never enter the cache."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from infra.errors import (
    BucketAccessError,
    CatalogError,
    ChecksumError,
    DownloadError,
    MissingBucketError,
    MissingTableError,
    NotWritableError,
    StoreUnreachableError,
)
from infra.evaluation import fetch
from infra.evaluation.benchmark import Benchmark
from infra.evaluation.catalog import known
from infra.evaluation.fetch import benchmarks_at, locate
from tests.support.bucket import Bucket, running_bucket

TABLE = b"index\timage\tquestion\tanswer\n" + b"0\tx\ty\tYes\n" * 100_000
BENCH = Benchmark(name="Bench", kind="yes_no")


def md5(data: bytes) -> str:
    """Return what publishers state."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@dataclass
class Site:
    """A web server that gives one table."""

    address: str = ""
    body: bytes = TABLE
    cut: int = 0  # bytes that it announces and does not send
    asked: list[str] = field(default_factory=list)

    @property
    def bench(self) -> Benchmark:
        """The benchmark that is published there."""
        return BENCH.model_copy(update={"url": f"{self.address}/Bench.tsv", "md5": md5(TABLE)})


@pytest.fixture
def site() -> Iterator[Site]:
    """Run a web server on loopback."""
    state = Site()

    class Handler(BaseHTTPRequestHandler):
        """Gives /Bench.tsv, sends /moved there, and knows nothing else."""

        def do_GET(self) -> None:
            """Answer."""
            state.asked.append(self.path)
            moved = self.path == "/moved"
            self.send_response(302 if moved else 200 if self.path == "/Bench.tsv" else 404)
            if moved:
                self.send_header("Location", "/Bench.tsv")
            body = state.body if self.path == "/Bench.tsv" else b""
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) - state.cut])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- as in the base
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    state.address = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def kept(cache: Path) -> list[str]:
    """Return the names of all files below a folder, temporary ones too."""
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


def test_a_folder_is_used_as_it_is(tmp_path: Path) -> None:
    """Nothing is copied, and a table of its own need not be the published one."""
    (tmp_path / "POPE.tsv").write_bytes(b"mine")

    assert tmp_path / "POPE.tsv" == locate(str(tmp_path), known()["POPE"], tmp_path / "cache")
    assert kept(tmp_path / "cache") == []


def test_a_folder_without_the_table_says_what_it_has(tmp_path: Path) -> None:
    """Most often the name is spelled otherwise."""
    (tmp_path / "pope.tsv").touch()

    with pytest.raises(MissingTableError, match=r"POPE\.tsv is not there\. It has pope\.tsv\."):
        locate(str(tmp_path), known()["POPE"], tmp_path)


def test_a_missing_folder_is_told_from_an_empty_one(tmp_path: Path) -> None:
    """A wrong path is another mistake than a missing table."""
    with pytest.raises(MissingTableError, match="It has no table"):
        locate(str(tmp_path), BENCH, tmp_path)
    with pytest.raises(MissingTableError, match="There is no such folder"):
        locate(str(tmp_path / "nowhere"), BENCH, tmp_path)


@pytest.mark.parametrize("source", [None, "published"])
def test_a_published_table_is_downloaded_once(
    tmp_path: Path, site: Site, source: str | None
) -> None:
    """The second time it is in the cache, under its own name."""
    first = locate(source, site.bench, tmp_path)
    second = locate(source, site.bench, tmp_path)

    assert (first, first.name, first.read_bytes()) == (second, "Bench.tsv", TABLE)
    assert site.asked == ["/Bench.tsv"]
    assert kept(tmp_path) == ["Bench.tsv"]


def test_another_table_under_the_address_is_refused(tmp_path: Path, site: Site) -> None:
    """The message has both sums, and nothing is kept."""
    site.body = TABLE + b"more"

    with pytest.raises(ChecksumError, match=f"{md5(site.body)}, not .*{md5(TABLE)}"):
        locate(None, site.bench, tmp_path)

    assert kept(tmp_path) == []


def test_a_cached_table_that_was_damaged_is_fetched_again(tmp_path: Path, site: Site) -> None:
    """The sum is checked each time, not only after the download."""
    path = locate(None, site.bench, tmp_path)
    path.write_bytes(TABLE[:-1])

    assert locate(None, site.bench, tmp_path).read_bytes() == TABLE
    assert len(site.asked) == 2


def test_a_table_without_a_sum_is_kept_by_its_address(tmp_path: Path, site: Site) -> None:
    """Another address is another table, although it has the same name."""
    bench = site.bench.model_copy(update={"md5": None})
    moved = bench.model_copy(update={"url": f"{site.address}/moved"})

    first, second = locate(None, bench, tmp_path), locate(None, moved, tmp_path)

    assert first != second
    assert first == locate(None, bench, tmp_path)
    assert site.asked == ["/Bench.tsv", "/moved", "/Bench.tsv"]


def test_a_download_that_ends_early_is_not_kept(tmp_path: Path, site: Site) -> None:
    """The server promised more bytes than came, although no sum says so."""
    site.cut = 1000
    bench = site.bench.model_copy(update={"md5": None})

    with pytest.raises(DownloadError, match=r"Bench\.tsv cannot be downloaded: RemoteProtocolErr"):
        locate(None, bench, tmp_path)

    assert kept(tmp_path) == []


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("{}/other", "404"),
        ("http://127.0.0.1:1/x", "ConnectError"),
        ("ftp://127.0.0.1/x", "UnsupportedProtocol"),
        ("http://127.0.0.1:port/x", "InvalidURL"),
    ],
)
def test_an_address_that_gives_nothing_is_named(
    tmp_path: Path, site: Site, url: str, told: str
) -> None:
    """With the reason, and the way around: a folder."""
    bench = BENCH.model_copy(update={"url": url.format(site.address)})

    with pytest.raises(DownloadError, match=rf"{told}.*name the folder"):
        locate(None, bench, tmp_path)


def test_a_benchmark_without_an_address_needs_a_folder(tmp_path: Path) -> None:
    """The message says where to write one."""
    with pytest.raises(MissingTableError, match=r"Bench has no address.*benchmarks\.yaml"):
        locate(None, BENCH, tmp_path)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, site: Site) -> None:
    """A file where the folder should be."""
    (tmp_path / "cache").touch()

    with pytest.raises(NotWritableError, match="cache"):
        locate(None, site.bench, tmp_path / "cache")


@pytest.fixture(scope="module")
def server() -> Iterator[Bucket]:
    """Run an S3 server for all tests of this file."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "anyone")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "anything")
        environment.setenv("AWS_CONFIG_FILE", "/dev/null")
        environment.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        environment.setenv("AWS_MAX_ATTEMPTS", "1")
        with running_bucket() as bucket:
            environment.setenv("AWS_ENDPOINT_URL", bucket.endpoint)
            yield bucket


def test_a_table_in_a_bucket_is_downloaded_once(tmp_path: Path, server: Bucket) -> None:
    """Endpoint and credentials come from the environment; the copy keeps the table's name."""
    server.put("once/Bench.tsv", TABLE)

    first = locate("s3://tables/once", BENCH, tmp_path)
    written = first.stat().st_mtime_ns
    second = locate("s3://tables/once/", BENCH, tmp_path)

    assert (first, first.name, first.read_bytes()) == (second, "Bench.tsv", TABLE)
    assert written == second.stat().st_mtime_ns
    assert kept(tmp_path) == ["Bench.tsv"]


def test_a_table_that_was_replaced_in_the_bucket_is_fetched_again(
    tmp_path: Path, server: Bucket
) -> None:
    """The old copy stays what it was, and is not taken for the new one."""
    server.put("twice/Bench.tsv", b"one")
    first = locate("s3://tables/twice", BENCH, tmp_path)
    server.put("twice/Bench.tsv", b"two")
    second = locate("s3://tables/twice", BENCH, tmp_path)

    assert (first.read_bytes(), second.read_bytes()) == (b"one", b"two")


@pytest.mark.parametrize("source", ["s3://tables/empty", "s3://tables"])
def test_a_table_that_is_not_in_the_bucket_is_missed(
    tmp_path: Path, server: Bucket, source: str
) -> None:
    """The message has the whole address."""
    assert server.name == "tables"

    with pytest.raises(MissingTableError, match=rf"^{source}/Bench\.tsv is not there\."):
        locate(source, BENCH, tmp_path)
    assert kept(tmp_path) == []


def test_a_bucket_that_is_missing_is_named(tmp_path: Path, server: Bucket) -> None:
    """It is not a table that is missing there."""
    assert server.name == "tables"

    with pytest.raises(MissingBucketError, match=r"no bucket 'nobody' .*s3://nobody/x/Bench\.tsv"):
        locate("s3://nobody/x", BENCH, tmp_path)
    assert kept(tmp_path) == []


def test_a_bucket_that_cannot_be_reached_is_named(
    tmp_path: Path, server: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to check."""
    assert server.name == "tables"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(fetch, "FIRST_PATIENCE", 0.1)

    with pytest.raises(StoreUnreachableError, match=r"s3://tables/x/Bench\.tsv .*AWS_ENDPOINT_URL"):
        locate("s3://tables/x", BENCH, tmp_path)


def test_without_credentials_the_message_says_which(
    tmp_path: Path, server: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a traceback of the S3 client."""
    assert server.name == "tables"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    with pytest.raises(BucketAccessError, match=r"NoCredentialsError.*AWS_PROFILE"):
        locate("s3://tables/x", BENCH, tmp_path)


def test_a_bucket_brings_its_own_benchmarks(tmp_path: Path, server: Bucket) -> None:
    """As a folder does; without such a list there are the known ones."""
    server.put("own/benchmarks.yaml", b"Bench: {kind: yes_no}\n")

    assert known() | {"Bench": BENCH} == benchmarks_at("s3://tables/own", tmp_path)
    assert known() == benchmarks_at("s3://tables/none", tmp_path)


def test_a_folder_brings_its_own_benchmarks(tmp_path: Path) -> None:
    """And the published ones are the known ones."""
    (tmp_path / "benchmarks.yaml").write_text("Bench: {kind: yes_no}\n", encoding="utf-8")

    assert known() | {"Bench": BENCH} == benchmarks_at(str(tmp_path), tmp_path)
    assert known() == benchmarks_at(None, tmp_path) == benchmarks_at("published", tmp_path)


def test_a_broken_list_in_a_bucket_is_refused(tmp_path: Path, server: Bucket) -> None:
    """Rather than taken for none."""
    server.put("broken/benchmarks.yaml", b"Bench: {kind: none}\n")

    with pytest.raises(CatalogError, match="'Bench' describes no benchmark"):
        benchmarks_at("s3://tables/broken", tmp_path)
