"""What a benchmark of the service holds against its limits, and how it measures."""

import http.client
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import numpy as np
from running_service import RunningService

MEGABYTE: Final = 1e6
_PIECE_BYTES: Final = 1 << 20
_LOOK_SECONDS: Final = 0.05


def at_most(limit: float, measured: float, unit: str, **more: Any) -> dict[str, Any]:
    """Return a figure that is good where it is low; `more` stands beside it, as JSON values."""
    return _figure(limit, measured, unit, is_ok=measured <= limit, more=more)


def at_least(limit: float, measured: float, unit: str, **more: Any) -> dict[str, Any]:
    """Return a figure that is good where it is high; `more` stands beside it, as JSON values."""
    return _figure(limit, measured, unit, is_ok=measured >= limit, more=more)


def _figure(
    limit: float, measured: float, unit: str, *, is_ok: bool, more: dict[str, Any]
) -> dict[str, Any]:
    rounded = float(f"{measured:.4g}")
    return {"limit": limit, "measured": rounded, "unit": unit, "ok": bool(is_ok), **more}


def quantiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """Return median and 95th percentile in milliseconds."""
    shares = {"median_ms": 50, "p95_ms": 95}
    return {
        name: round(1000 * float(np.percentile(seconds, share)), 1)
        for name, share in shares.items()
    }


class Caller:
    """A client that adds as little as possible to what it measures; one connection, kept open."""

    def __init__(self, service: RunningService) -> None:
        """Connect to a service.

        Args:
            service: Must outlive the caller.
        """
        address = urlsplit(service.server)
        assert address.hostname is not None
        self._headers = service.headers
        self._connection = http.client.HTTPConnection(
            address.hostname, address.port, timeout=600, blocksize=_PIECE_BYTES
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def ask(self, method: str, path: str, **options: Any) -> http.client.HTTPResponse:
        """Return an answer whose content is still to be read; options are http.client's."""
        headers = {**self._headers, **options.pop("headers", {})}
        self._connection.request(method, path, headers=headers, **options)
        return self._connection.getresponse()

    def get(self, path: str) -> tuple[bytes, float]:
        """Return the content of an answer, and the seconds until it was there."""
        started = time.perf_counter()
        response = self.ask("GET", path)
        content = response.read()
        seconds = time.perf_counter() - started
        assert response.status == http.client.OK, content
        return content, seconds


def read_all(source: Any) -> tuple[int, float, float]:  # An answer or a file: whatever reads.
    """Read to the end.

    Args:
        source: Has `readinto`.

    Returns:
        Bytes in all; bytes a second from the first byte to the last; the first byte's moment.
    """
    buffer = memoryview(bytearray(_PIECE_BYTES))
    count = source.readinto(buffer[:1])
    began = time.perf_counter()
    while piece := source.readinto(buffer):
        count += piece
    return count, (count - 1) / (time.perf_counter() - began), began


class MemoryWatch:
    """Looks at the memory of a process many times a second, for as long as its context lasts.

    Attributes:
        idle: Resident and proportional megabytes when the context began.
        peak: The largest of each since.
    """

    def __init__(self, process_id: int) -> None:
        """Prepare to look at a process."""
        self._path = Path(f"/proc/{process_id}/smaps_rollup")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.idle = self._look()
        self.peak = self.idle

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def report(self) -> dict[str, float]:
        """Return all that was seen, in megabytes."""
        names = ("rss", "pss")
        return {
            **{f"idle_{name}_mb": value for name, value in zip(names, self.idle, strict=True)},
            **{f"peak_{name}_mb": value for name, value in zip(names, self.peak, strict=True)},
            "growth_mb": round(self.peak[0] - self.idle[0], 1),
        }

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            resident, proportional = self._look()
            self.peak = max(self.peak[0], resident), max(self.peak[1], proportional)

    def _look(self) -> tuple[float, float]:
        fields = dict(line.split(":", 1) for line in self._path.read_text("ascii").splitlines()[1:])
        resident, proportional = (int(fields[name].split()[0]) for name in ("Rss", "Pss"))
        return round(resident * 1024 / MEGABYTE, 1), round(proportional * 1024 / MEGABYTE, 1)
