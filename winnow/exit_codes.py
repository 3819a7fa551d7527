"""The command line's exit codes, and which error leads to which."""

from enum import IntEnum

from winnow.errors import (
    ApiError,
    DatasetInvalidError,
    InputError,
    JobCancelledError,
    JobFailedError,
    ServerStartError,
    ServerUnreachableError,
)


class ExitCode(IntEnum):
    """What the command line answers to its caller."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    REFUSED = 3
    JOB_FAILED = 4
    JOB_CANCELLED = 5
    UNREACHABLE = 6
    STACK = 7
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


DESCRIPTION = """\
Exit codes: 0 done; 1 an unexpected fault; 2 wrong usage; 3 the input or the request was refused;
4 the job failed; 5 the job was cancelled; 6 no service answers, or it does not know the key;
7 the one-machine stack cannot run; 129, 130, 143 stopped by SIGHUP, Ctrl-C, SIGTERM.
"""

_CODES: tuple[tuple[type[Exception], ExitCode], ...] = (
    (InputError, ExitCode.REFUSED),
    (DatasetInvalidError, ExitCode.REFUSED),
    (JobFailedError, ExitCode.JOB_FAILED),
    (JobCancelledError, ExitCode.JOB_CANCELLED),
    (ServerUnreachableError, ExitCode.UNREACHABLE),
    (ServerStartError, ExitCode.STACK),
)
_UNAUTHENTICATED = 401
_SERVER_FAULT = 500


def exit_code_of(error: Exception) -> ExitCode:
    """Returns the exit code of an error that ends a command."""
    if isinstance(error, ApiError):
        if error.problem.status == _UNAUTHENTICATED:
            return ExitCode.UNREACHABLE
        is_fault = error.problem.status >= _SERVER_FAULT
        return ExitCode.UNEXPECTED if is_fault else ExitCode.REFUSED
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return ExitCode.UNEXPECTED
