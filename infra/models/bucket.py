"""Weight files in a bucket, read by ranges: no byte of them is ever on this machine's disk.

Every read names the version that was seen when the model was found (If-Match on its ETag), so an
object that is replaced while a run lasts is refused and never mixed with the old one.  Large reads
are cut into pieces of which a few are under way at once: one connection does not fill a network.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from infra.errors import ChangedWeightsError, ObjectConditionError
from infra.s3.address import Object, Seen
from infra.s3.client import S3

PIECE_BYTES = 16 << 20
AT_ONCE = 4  # pieces under way: what is held beside the tensor itself is at most so many


@dataclass(frozen=True, slots=True)
class BucketReader:
    """The files below a prefix, each at the version that was seen.  A `RangeReader`."""

    s3: S3
    prefix: Object
    seen: Mapping[str, Seen]
    piece_bytes: int = PIECE_BYTES

    def size(self, file: str) -> int | None:
        """Return a file's size in bytes, None where there is no such file."""
        return self.seen[file].size if file in self.seen else None

    def read_into(self, file: str, start: int, target: memoryview) -> int:
        """Fill ``target`` with the bytes from ``start``; return how many there were.

        Raises:
            ChangedWeightsError: The object is another version, or gone.
            BucketError: The service does not give it.
        """
        done = 0
        for piece in self.stream(file, start, len(target)):
            target[done : done + len(piece)] = piece
            done += len(piece)
        return done

    def stream(self, file: str, start: int, length: int) -> Iterator[bytes]:
        """Yield up to ``length`` bytes from ``start`` in order; raises as `read_into` does."""
        end = min(start + length, self.seen[file].size)
        starts = range(start, end, self.piece_bytes)
        if len(starts) <= 1:
            yield from (self._piece(file, at, end) for at in starts)
            return
        under_way: deque[Future[bytes]] = deque()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for at in starts:
                under_way.append(pool.submit(self._piece, file, at, end))
                if len(under_way) == AT_ONCE:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()

    def place(self) -> str:
        """Say where the files are, for messages."""
        return self.prefix.uri

    def _piece(self, file: str, start: int, end: int) -> bytes:
        at = Object(self.prefix.bucket, f"{self.prefix.key}/{file}".lstrip("/"))
        length = min(self.piece_bytes, end - start)
        try:
            return self.s3.read(at, start, length, self.seen[file].etag)
        except (ObjectConditionError, FileNotFoundError) as error:
            what = "gone" if isinstance(error, FileNotFoundError) else "another version"
            raise ChangedWeightsError(
                f"{at.uri} is {what} since the model was found. A run needs one state of its "
                "model: put that version back, or start the run anew with what is there now; "
                "better keep each version of a model under a prefix of its own."
            ) from error
