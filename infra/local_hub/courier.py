"""The thread that carries deliveries out while requests go on.

Of several servers over one folder, the one that holds the lock delivers for all of them.
"""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from infra.errors import StorageError
from infra.files import make_folder
from infra.local_hub.outbox import LOG, Delivery, Outbox
from infra.local_hub.settings import HubSettings

LOOK_SECONDS = 1.0
"""How long another server's delivery may wait to be seen."""
WORKERS = 4


class Courier:
    """Carries out deliveries until it is stopped.  One a webhook at a time, several webhooks."""

    def __init__(self, settings: HubSettings, outbox: Outbox) -> None:
        self._lock_path = settings.root / "deliveries" / "lock"
        self._outbox = outbox
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="hub-courier", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something new."""
        self._news.set()

    def stop(self) -> None:
        """Finish the tries that are under way, and end; the rest is for the next start."""
        self._stopping.set()
        self._news.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._only_one() as granted:
                    if granted:
                        self._outbox.recover()
                        self._deliver()
            except (StorageError, OSError) as error:
                LOG.warning("Webhooks wait: %s", error)
            except Exception:  # noqa: BLE001 -- a thread that dies would take all webhooks along
                LOG.exception("Webhooks wait: nobody foresaw this.")
            self._stopping.wait(LOOK_SECONDS)

    def _deliver(self) -> None:
        """Deliver what is due, again and again, until this server stops."""
        under_way: dict[str, Future[Delivery]] = {}  # by webhook
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="hub-courier") as pool:
            while not self._stopping.is_set():
                self._news.clear()
                for hook in [hook for hook, future in under_way.items() if future.done()]:
                    under_way.pop(hook).result()
                now, pause = time.time(), LOOK_SECONDS
                for delivery in self._outbox.waiting():
                    if delivery.hook in under_way:
                        continue
                    if delivery.due > now:
                        pause = min(pause, delivery.due - now)
                        continue
                    future = pool.submit(self._outbox.attempt, delivery)
                    under_way[delivery.hook] = future
                    future.add_done_callback(lambda _: self._news.set())
                self._news.wait(pause)

    @contextlib.contextmanager
    def _only_one(self) -> Iterator[bool]:
        make_folder(self._lock_path.parent)
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            yield _try_lock(descriptor)
        finally:
            os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
