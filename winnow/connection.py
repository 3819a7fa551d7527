"""Connects a command to a service: a named one, the stack that runs already, or one of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from winnow.client import Client
from winnow.data_folder import DataFolder, StackAddress
from winnow.display import Display
from winnow.errors import ServerUnreachableError
from winnow.stack import Stack, StackOptions


@dataclass(frozen=True, kw_only=True)
class Target:
    """Which service a command talks to.

    Attributes:
        server: The address of a running service; None takes the one-machine stack.
        api_key: The key for that service.
        data: The stack's data folder.
    """

    server: str | None
    api_key: str | None
    data: Path


@dataclass(frozen=True)
class Connection:
    """A service that answers.

    Attributes:
        client: Speaks with it.
        stack: The stack that this command started and will stop, if it did.
    """

    client: Client
    stack: Stack | None

    def check(self) -> None:
        """Makes sure that the command's own stack is whole.

        Raises:
            ServerStartError: one of its processes has ended.
        """
        if self.stack is not None:
            self.stack.check()


@contextmanager
def connect(target: Target, display: Display, *, has_workers: bool) -> Iterator[Connection]:
    """Yields a connection; a stack that had to be started is stopped after the block.

    Args:
        target: Which service.
        display: Told how far the start is.
        has_workers: Whether the command needs jobs or validations to run.
    """
    if target.server is not None:
        with Client(target.server, target.api_key) as client:
            yield Connection(client, None)
        return
    folder = DataFolder(target.data.absolute())
    running = folder.running_stack()
    if running is not None:
        display.say(f"Using the stack that runs at {running.server} on {folder.root}")
        with Client(running.server, running.api_key) as client:
            yield Connection(client, None)
        return
    options = StackOptions(data=folder, has_workers=has_workers, report=display.say)
    with Stack(options) as stack:
        with _client_of(stack, stack.start()) as client:
            yield Connection(client, stack)
        display.say("Stopping the stack")


@contextmanager
def _client_of(stack: Stack, address: StackAddress) -> Iterator[Client]:
    with Client(address.server, address.api_key) as client:
        try:
            yield client
        except ServerUnreachableError:
            # A process that has ended says more than the connection that it broke.
            stack.check()
            raise
