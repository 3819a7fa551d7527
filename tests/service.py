"""Speaks to a running service as a user's own program would: plain HTTP and JSON."""

import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

_FINAL_STATES = {"succeeded", "failed", "cancelled"}
# Far above what is usual, for machines that are busy with other things.
_PATIENCE_SECONDS = 120.0


class Service:
    """A client of one service on a unix socket."""

    def __init__(self, socket: Path, key: str) -> None:
        self.socket = socket
        self._client = httpx2.Client(
            transport=httpx2.HTTPTransport(uds=str(socket)),
            base_url="http://winnow",
            headers={"Authorization": f"Bearer {key}"},
            timeout=30.0,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._is_ready():
            assert time.monotonic() < deadline, "the service did not come up"
            time.sleep(0.2)

    def upload(self, role: str, file_name: str, content: bytes, **said: Any) -> dict[str, Any]:
        """Create a dataset, fill it, and return it once it is validated."""
        created: dict[str, Any] = self.request(
            "POST", "/v1/datasets", 201, json={"name": role, "role": role, **said}
        )
        path = f"/v1/datasets/{created['id']}"
        self.request(
            "PUT", f"{path}/content", 202, params={"file_name": file_name}, content=content
        )
        deadline = time.monotonic() + _PATIENCE_SECONDS
        dataset = created
        while dataset["state"] in {"created", "validating"}:
            assert time.monotonic() < deadline, "the dataset was not validated in time"
            time.sleep(0.2)
            dataset = self.request("GET", path)
        return dataset

    def run_job(self, **request: Any) -> dict[str, Any]:
        """Create a job and return it once it has come to its end."""
        job: dict[str, Any] = self.request("POST", "/v1/jobs", 202, json=request)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while job["state"] not in _FINAL_STATES:
            assert time.monotonic() < deadline, f"the job did not end in time: {job}"
            job = self.request("GET", f"/v1/jobs/{job['id']}", params={"wait": 5})
        return job

    def request(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """Return the JSON answer of a request that must have this status."""
        response = self.ask(method, path, **options)
        assert response.status_code == status, response.text
        return response.json()

    def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Return the answer of a request, whatever it is."""
        return self._client.request(method, path, **options)

    def download(self, path: str, **params: str) -> bytes:
        response = self._client.get(path, params=params)
        assert response.status_code == 200, response.text
        return response.content

    def _is_ready(self) -> bool:
        try:
            return self._client.get("/readyz").status_code == 200
        except httpx2.TransportError:
            return False
