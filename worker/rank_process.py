"""Starts one of several training processes: ties its life to their launcher's before all else."""

import os
import sys
from pathlib import Path
from typing import Final

from worker.death_signal import die_with_parent

_ARGUMENTS: Final = 2


def main(arguments: list[str]) -> None:
    """Take part in one attempt.

    Args:
        arguments: The launcher's process id, and the attempt's scratch folder.

    Raises:
        SystemExit: The arguments are not a launcher's.
    """
    if len(arguments) != _ARGUMENTS:
        raise SystemExit("This process is started by a worker, not by hand.")
    launcher_pid, scratch = arguments
    die_with_parent(int(launcher_pid))
    # Processes that the run starts must not hold the pipe open after this one's end.
    report_descriptor = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # The imports take a second, in which the parent could die unnoticed.
    from worker.rank_session import run_rank  # noqa: PLC0415

    run_rank(Path(scratch), report_descriptor)


if __name__ == "__main__":
    main(sys.argv[1:])
