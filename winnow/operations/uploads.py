"""Uploads: small files in one request, large ones in parts of which only the missing are sent."""

import hashlib
import io
import math
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Final

from winnow.calls import FILE_SECONDS, Call, Progress
from winnow.errors import ConflictError, WinnowError
from winnow.inputs import PreparedInput, open_input
from winnow.operations.datasets import create_dataset, delete_dataset, get_dataset
from winnow.operations.reading import pages
from winnow.resources import Dataset, DatasetId, DatasetRequest, UploadPart
from winnow.transport import Transport

PART_BYTES: Final = 32 << 20
"""Length of a part, unless the file has too many of that length for the service."""
_MAX_PARTS: Final = 10_000
_LONGEST_NAME = 200
# The service writes the whole file once more before it answers.
_COMPLETE_SECONDS: Final = 3600.0


def ignore_progress(_: int) -> None:
    """Reports progress to nobody."""


def sends_parts(size_bytes: int, *, part_bytes: int = PART_BYTES) -> bool:
    """Whether a file of this length is sent in parts, so that a broken upload can go on."""
    return size_bytes > part_bytes


def shown_name(request: DatasetRequest, source: PreparedInput) -> str:
    """Returns a name that the service takes: the request's, or else the file's."""
    printable = "".join(c if c.isprintable() else "?" for c in request.name or source.name)
    return printable[:_LONGEST_NAME]


async def upload_dataset(
    transport: Transport,
    path: str | Path,
    request: DatasetRequest,
    *,
    on_progress: Progress = ignore_progress,
) -> Dataset:
    """Makes a dataset of a file or folder; if its content does not arrive, it is deleted again.

    Its validation then runs in the service: see ``wait_for_dataset``. To go on with a broken
    upload instead, make the dataset by ``create_dataset`` and call ``upload_content`` again.

    Args:
        transport: The way to the service.
        path: An image folder, an archive of one, a table or an .npz.
        request: The dataset to be made; without a name it takes the path's.
        on_progress: Called with the bytes sent so far.

    Raises:
        InputError: the path cannot be read.
    """
    with ExitStack() as stack:
        source = await transport.wire.work(partial(stack.enter_context, open_input(Path(path))))
        return await send_new(transport, source, request, on_progress=on_progress)


async def send_new(
    transport: Transport,
    source: PreparedInput,
    request: DatasetRequest,
    *,
    on_progress: Progress = ignore_progress,
) -> Dataset:
    """Makes a dataset of an open file; if its content does not arrive, it is deleted again."""
    named = replace(request, name=shown_name(request, source))
    dataset = await create_dataset(transport, named)
    try:
        await upload_content(
            transport,
            dataset.id,
            source.source,
            file_name=source.file_name,
            size_bytes=source.size_bytes,
            on_progress=on_progress,
        )
    except BaseException:
        # The error that ends the upload says more than one of the tidying up.
        with suppress(WinnowError):
            await delete_dataset(transport, dataset.id)
        raise
    return dataset


async def upload_content(  # noqa: PLR0913 - What is sent, how, and whereto.
    transport: Transport,
    dataset_id: DatasetId,
    source: IO[bytes],
    *,
    file_name: str,
    size_bytes: int,
    on_progress: Progress = ignore_progress,
    part_bytes: int = PART_BYTES,
) -> None:
    """Sends the dataset's content; its validation then runs in the service.

    A large file goes in parts, of which only those are sent that have not arrived: calling it
    again after a failure goes on where that one ended.

    Args:
        transport: The way to the service.
        dataset_id: The dataset.
        source: An open file; read from its beginning, again after a passing fault.
        file_name: Its ending says the format.
        size_bytes: The file's length.
        on_progress: Called with the bytes sent so far.
        part_bytes: Files above this length are sent in parts of it.
    """
    upload = _Upload(transport, dataset_id, source, size_bytes, on_progress)
    try:
        if sends_parts(size_bytes, part_bytes=part_bytes):
            sha256, part_count = await upload.send_parts(part_bytes)
            await transport.send(_complete_call(dataset_id, file_name, sha256, part_count))
        else:
            await upload.send_whole(file_name)
    except ConflictError as error:
        # An upload whose answer was lost has arrived, and its repetition is refused.
        if not (error.reason == "DATASET_HAS_CONTENT" and await upload.has_arrived()):
            raise


def list_parts(transport: Transport, dataset_id: DatasetId) -> AsyncIterator[UploadPart]:
    """Yields the parts of the dataset's content that have arrived, by number."""
    return pages(transport, UploadPart, f"/v1/datasets/{dataset_id}/parts")


@dataclass(frozen=True)
class _Upload:
    """A file on its way to a dataset."""

    transport: Transport
    dataset_id: DatasetId
    source: IO[bytes]
    size_bytes: int
    on_progress: Progress

    async def send_whole(self, file_name: str) -> None:
        """Sends the file in one request."""
        call = Call(
            method="PUT",
            path=f"/v1/datasets/{self.dataset_id}/content",
            params={"file_name": file_name},
            wait_seconds=FILE_SECONDS,
        )
        await self.transport.upload(
            call, self.source, size_bytes=self.size_bytes, on_progress=self.on_progress
        )

    async def send_parts(self, part_bytes: int) -> tuple[str, int]:
        """Sends the parts that have not arrived; returns the file's SHA-256 and their number."""
        arrived = {part.number: part async for part in list_parts(self.transport, self.dataset_id)}
        # The dashboard cuts shorter parts, and an upload that it began goes on in those.
        first_bytes = arrived[1].size_bytes if 1 in arrived else part_bytes
        part_bytes = max(first_bytes, math.ceil(self.size_bytes / _MAX_PARTS))
        whole = hashlib.sha256()
        self.source.seek(0)
        number = sent_bytes = 0
        read = partial(_read_part, self.source, part_bytes, whole.update)
        while (part := await self.transport.wire.work(read)).content:
            number += 1
            if number not in arrived or arrived[number].sha256 != part.sha256:
                await self._send_part(number, part, sent_bytes)
            sent_bytes += len(part.content)
            self.on_progress(sent_bytes)
        return whole.hexdigest(), number

    async def has_arrived(self) -> bool:
        """Whether the dataset's content is this very file."""
        content = (await get_dataset(self.transport, self.dataset_id)).content
        digest = await self.transport.wire.work(partial(_digest_of, self.source))
        return content is not None and content.sha256 == digest

    async def _send_part(self, number: int, part: "_Part", before_bytes: int) -> None:
        call = Call(
            method="PUT",
            path=f"/v1/datasets/{self.dataset_id}/parts/{number}",
            params={"sha256": part.sha256},
        )
        await self.transport.upload(
            call,
            io.BytesIO(part.content),
            size_bytes=len(part.content),
            on_progress=lambda passed_bytes: self.on_progress(before_bytes + passed_bytes),
        )


@dataclass(frozen=True)
class _Part:
    content: bytes
    sha256: str


def _read_part(source: IO[bytes], part_bytes: int, take: Callable[[bytes], None]) -> _Part:
    content = source.read(part_bytes)
    take(content)
    return _Part(content, hashlib.sha256(content).hexdigest())


def _digest_of(source: IO[bytes]) -> str:
    source.seek(0)
    return hashlib.file_digest(source, "sha256").hexdigest()  # type: ignore[arg-type] # Any binary file will do.


def _complete_call(dataset_id: DatasetId, file_name: str, sha256: str, part_count: int) -> Call:
    return Call(
        method="POST",
        path=f"/v1/datasets/{dataset_id}/complete",
        body={"file_name": file_name, "sha256": sha256, "part_count": part_count},
        wait_seconds=_COMPLETE_SECONDS,
    )
