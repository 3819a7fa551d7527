"""Many clients that watch jobs by server-sent events, in one process of their own.

Run as a program beside the service: reads its task as JSON from standard input, prints a line once
every stream is open, and one JSON object after its standard input has ended.
"""

import asyncio
import json
import sys
import threading
from dataclasses import dataclass
from typing import Any

from plain_http import Connection


@dataclass
class Tally:
    """What all streams brought together.

    Attributes:
        opened: Streams whose answer has begun.
        progress: Events that tell of progress.
        broken: Streams that ended before they were left.
    """

    opened: int = 0
    progress: int = 0
    broken: int = 0


async def watch_all(task: dict[str, Any], left: asyncio.Event) -> Tally:
    """Open one stream for each path of a task, and return what they brought until they are left."""
    tally = Tally()
    begun = asyncio.Semaphore(0)
    streams = [asyncio.create_task(_watch(task, path, tally, begun)) for path in task["paths"]]
    for _ in streams:
        await begun.acquire()
    print("open", flush=True)
    await left.wait()
    for stream in streams:
        stream.cancel()
    await asyncio.gather(*streams, return_exceptions=True)
    return tally


async def _watch(task: dict[str, Any], path: str, tally: Tally, begun: asyncio.Semaphore) -> None:
    connection = await Connection.open(task["server"], task["headers"])
    try:
        async for line in connection.stream(path):
            if line.startswith(b"HTTP/1.1 "):
                tally.opened += line.startswith(b"HTTP/1.1 200 ")
                begun.release()
            tally.progress += line.rstrip() == b"event: progress"
        tally.broken += 1
    finally:
        connection.close()


async def _run(task: dict[str, Any]) -> Tally:
    left = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait_for_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(left.set)

    threading.Thread(target=wait_for_end, daemon=True).start()
    return await watch_all(task, left)


def main() -> None:
    """Do the task in the first line of standard input, until that ends."""
    tally = asyncio.run(_run(json.loads(sys.stdin.readline())))
    print(json.dumps({"streams": tally.opened, "progress": tally.progress, "broken": tally.broken}))


if __name__ == "__main__":
    main()
