"""A server that speaks S3, for the tests of what is stored in a bucket."""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import boto3
from moto.server import ThreadedMotoServer


@dataclass
class S3Server:
    """One server, and the credentials that it takes."""

    endpoint: str
    credentials: Mapping[str, str]
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _bucket: str = ""

    def new_bucket(self) -> str:
        """Make an empty bucket and return the address of a store in it."""
        self._bucket = f"winnow-{next(self._numbers)}"
        self.client.create_bucket(Bucket=self._bucket)
        return f"s3://{self._bucket}/some/prefix?endpoint={quote(self.endpoint)}&region=us-east-1"

    @property
    def client(self) -> Any:  # boto3 ships no types.
        """An independent client of the same server."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.credentials["AWS_SECRET_ACCESS_KEY"],
        )

    def stored_keys(self) -> list[str]:
        """Return the keys in the newest bucket."""
        found = self.client.list_objects_v2(Bucket=self._bucket).get("Contents", [])
        return [entry["Key"] for entry in found]

    def part_count(self, digest: str) -> int:
        """Return in how many parts an object was sent."""
        (key,) = [key for key in self.stored_keys() if key.endswith(digest)]
        tag = self.client.head_object(Bucket=self._bucket, Key=key)["ETag"].strip('"')
        return int(tag.rpartition("-")[2]) if "-" in tag else 1


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Yield a running server of S3."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        credentials = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
        yield S3Server(f"http://{host}:{port}", credentials)
    finally:
        server.stop()
