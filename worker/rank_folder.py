"""Holds the files by which the processes of one attempt on one machine tell each other things."""

import os
import time
from pathlib import Path
from typing import Final, NoReturn, final

from worker.child_link import Start, decode_from_supervisor, encode_for_child

_LOOK_SECONDS: Final = 0.1


@final
class RankFolder:
    """What the processes that share a training say to each other besides tensors.

    Each message is a file that appears at once and whole, so that it can be waited for while the
    other side is away or at work, and whatever the backend that carries the tensors.

    Attributes:
        path: The attempt's scratch folder.
        state_file: The state from which the shared training starts, once it is there.
    """

    def __init__(self, path: Path) -> None:
        """Take the attempt's scratch folder, which the supervisor removes."""
        self.path = path
        self.state_file = path / "shared-start.safetensors"
        self._start = path / "start.json"
        self._stop = path / "stop"
        self._end = path / "end"

    def write_start(self, start: Start) -> None:
        """Tell all processes what is to be run."""
        self._start.write_bytes(encode_for_child(start))

    def read_start(self) -> Start:
        """Return what is to be run."""
        message = decode_from_supervisor(self._start.read_bytes())
        if not isinstance(message, Start):
            raise TypeError(f"The file of the start holds a {message.type}.")
        return message

    def ask_to_stop(self) -> None:
        """Tell the leading process to save a checkpoint and leave."""
        self._stop.touch()

    def is_stop_asked(self) -> bool:
        """Return whether the leading process is to leave."""
        return self._stop.exists()

    def publish_state(self, draft: Path) -> None:
        """Make a complete file the state from which the shared training starts."""
        draft.replace(self.state_file)

    def wait_for_state(self) -> None:
        """Return once the state is there from which the shared training starts."""
        _wait_for(self.state_file)

    def say_end(self) -> None:
        """Tell the other processes that nothing is left for them to do."""
        self._end.touch()

    def leave_at_end(self) -> NoReturn:
        """Wait, and end this process once nothing is left to do, whatever its threads wait for."""
        _wait_for(self._end)
        os._exit(0)


def _wait_for(file: Path) -> None:
    while not file.exists():
        time.sleep(_LOOK_SECONDS)
