"""A load balancer in front of the API processes: `python -m tests.support.front PORT PORT...`.

It passes bytes on to the first of the others that takes a connection, in turn, and lets a client
wait while none does.  What a client notices of a killed process is a connection that breaks.
"""

import asyncio
import contextlib
import itertools
import sys
from collections.abc import Iterator, Sequence

HOST = "127.0.0.1"
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.1


async def serve(port: int, upstreams: Sequence[int]) -> None:
    """Pass connections on until the process ends."""
    starts = itertools.cycle(range(len(upstreams)))

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = next(starts)
        await _pass_on(reader, writer, itertools.cycle((*upstreams[first:], *upstreams[:first])))

    server = await asyncio.start_server(one, HOST, port)
    async with server:
        await server.serve_forever()


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ports: Iterator[int]
) -> None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            inner_reader, inner_writer = await _connected(ports)
    except TimeoutError:
        writer.close()
        return
    pumps = [
        asyncio.create_task(_pump(reader, inner_writer)),
        asyncio.create_task(_pump(inner_reader, writer)),
    ]
    await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    for end in (writer, inner_writer):
        end.close()
    await asyncio.gather(*pumps, return_exceptions=True)


async def _connected(ports: Iterator[int]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    for port in ports:
        with contextlib.suppress(OSError):
            return await asyncio.open_connection(HOST, port)
        await asyncio.sleep(POLL_SECONDS)
    raise AssertionError


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(1 << 16):
            target.write(data)
            await target.drain()


if __name__ == "__main__":
    front, *behind = map(int, sys.argv[1:])
    asyncio.run(serve(front, behind))
