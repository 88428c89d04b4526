"""Where a benchmark's table is: in a folder, below an S3 prefix, or at its published address.

What is fetched is kept in a cache under what decides its bytes (MD5, address, or S3's ETag), so it
is downloaded once and a table that was replaced is not mistaken for the old one.
"""

import hashlib
from pathlib import Path
from typing import Any

import httpx2

from infra.errors import ChecksumError, DownloadError, MissingTableError
from infra.evaluation import catalog
from infra.evaluation.benchmark import Benchmark
from infra.files import CHUNK_BYTES, atomic_path, explaining, make_folder
from infra.s3.address import SCHEME, Object, Seen, Service, split
from infra.s3.client import FIRST_PATIENCE, PATIENCE, S3

PUBLISHED = "published"
"""The source that stands for each table's own address."""

_TIMEOUT = httpx2.Timeout(60, connect=15)  # seconds without a byte


def locate(source: str | None, benchmark: Benchmark, cache: Path) -> Path:
    """Return a local file with the table of ``benchmark``, and download it where needed.

    Args:
        source: A folder; ``s3://bucket/prefix``, with credentials and endpoint from the
            environment or the files of the AWS tools; "published" or None: ``benchmark.url``.
        benchmark: What is looked for, as NAME.tsv.
        cache: Folder where downloads are kept.

    Raises:
        MissingTableError: It is not there, or has no address.
        DownloadError: The server does not give it.
        BucketError: The bucket is missing, or does not give it.
        ChecksumError: What came from its address is another file; nothing is kept.
        StorageError: It cannot be written to the cache.
    """
    if source is None or source == PUBLISHED:
        return _published(benchmark, cache)
    if source.startswith(SCHEME):
        return _from_bucket(f"{source.rstrip('/')}/{benchmark.name}.tsv", cache)
    return _in_folder(Path(source).expanduser(), benchmark)


def benchmarks_at(source: str | None, cache: Path) -> dict[str, Benchmark]:
    """Return the benchmarks that are known for a source, with those that it brings along.

    Args:
        source: As for `locate`; a folder or prefix may hold a `benchmarks.yaml`.
        cache: Folder where downloads are kept.

    Raises:
        CatalogError: Its `benchmarks.yaml` describes no benchmarks.
        BucketError: The bucket cannot be asked.
        StorageError: It cannot be written to the cache.
    """
    if source is None or source == PUBLISHED:
        return catalog.known()
    if not source.startswith(SCHEME):
        return catalog.of_folder(Path(source).expanduser())
    try:
        own = _from_bucket(f"{source.rstrip('/')}/{catalog.OWN}", cache)
    except MissingTableError:
        return catalog.known()
    return catalog.of_folder(own.parent)


def _in_folder(folder: Path, benchmark: Benchmark) -> Path:
    path = folder / f"{benchmark.name}.tsv"
    if path.is_file():
        return path
    there = ", ".join(sorted(found.name for found in folder.glob("*.tsv"))) or "no table"
    what = f"It has {there}" if folder.is_dir() else "There is no such folder"
    raise MissingTableError(
        f"{path} is not there. {what}. Name the folder that has it, leave {benchmark.name} out, "
        f"or use {PUBLISHED!r} to download the table where this machine may."
    )


def _published(benchmark: Benchmark, cache: Path) -> Path:
    if benchmark.url is None:
        raise MissingTableError(
            f"{benchmark.name} has no address to download it from. Name the folder or S3 prefix "
            f"that has {benchmark.name}.tsv, or add a url to its entry in {catalog.OWN}."
        )
    path = cache / PUBLISHED / (benchmark.md5 or _digest(benchmark.url)) / f"{benchmark.name}.tsv"
    if path.is_file() and benchmark.md5 in (None, _md5_of(path)):
        return path
    make_folder(path.parent)
    with atomic_path(path) as temporary:
        _download(benchmark.url, temporary)
        md5 = _md5_of(temporary)
        if benchmark.md5 not in (None, md5):
            raise ChecksumError(
                f"{benchmark.url} gave {temporary.stat().st_size} bytes with MD5 {md5}, not the "
                f"table {benchmark.name} with MD5 {benchmark.md5}; it was not kept. Try again; if "
                "it stays so, the table was changed there: numbers from it are not comparable. A "
                "new table needs a new name and entry."
            )
    return path


def _download(url: str, target: Path) -> None:
    try:
        with (
            httpx2.stream("GET", url, follow_redirects=True, timeout=_TIMEOUT) as answer,
            target.open("wb") as file,
        ):
            answer.raise_for_status()
            for piece in answer.iter_bytes(CHUNK_BYTES):
                file.write(piece)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise DownloadError(
            f"{url} cannot be downloaded: {type(error).__name__}: {error}. Check the network and "
            "try again, or download it elsewhere and name the folder that has it."
        ) from error


def _from_bucket(uri: str, cache: Path) -> Path:
    """Download an object, unless the cache has these bytes."""
    bucket, place = S3(Service(), patience=FIRST_PATIENCE), split(uri)
    before = _version(bucket, place)
    path = cache / "s3" / _digest(f"{uri} {before.etag} {before.size}") / uri.rpartition("/")[2]
    if path.is_file():
        return path
    make_folder(path.parent)
    with atomic_path(path) as temporary:
        bucket.waiting(PATIENCE).ask(
            uri, "downloading", lambda files: files.get_file(uri, str(temporary))
        )
        if _version(bucket, place) != before:
            raise DownloadError(f"{uri} was replaced while it was downloaded. Try again.")
    return path


def _version(bucket: S3, place: Object) -> Seen:
    """Return what tells this version of a table from another."""
    found = bucket.look(place)
    if found is None:
        bucket.require_bucket(place)
        raise MissingTableError(
            f"{place.uri} is not there. Check the prefix, and that the table was uploaded under "
            "exactly this name."
        )
    return found


def _md5_of(path: Path) -> str:
    with explaining(path, "reading"), path.open("rb") as file:
        return hashlib.file_digest(file, _md5).hexdigest()


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)  # what the publisher states


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
