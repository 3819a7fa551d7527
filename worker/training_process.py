"""Starts a training process: ties its life to the supervisor's before anything else is loaded."""

import os
import sys
from typing import Final

from worker.death_signal import die_with_parent

_ARGUMENTS: Final = 2


def main(arguments: list[str]) -> None:
    """Run one attempt.

    Args:
        arguments: The supervisor's process id, and the number of the descriptor it reads.

    Raises:
        SystemExit: The arguments are not a supervisor's.
    """
    if len(arguments) != _ARGUMENTS:
        raise SystemExit("The training process is started by a worker, not by hand.")
    parent_pid, report_descriptor = (int(argument) for argument in arguments)
    die_with_parent(parent_pid)
    # Processes that the run starts must not hold the pipe open after this one's end.
    os.set_inheritable(report_descriptor, False)
    # The imports take a second, in which the parent could die unnoticed.
    from worker.child_session import run_session  # noqa: PLC0415

    run_session(report_descriptor)


if __name__ == "__main__":
    main(sys.argv[1:])
