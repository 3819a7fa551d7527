"""Stands between a supervisor and its real training process, and kills that at a given message.

Its first argument is the message, as a JSON object: it is met by the first message of the same
type and phase whose step is not smaller. Only a job's first attempt is struck.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any

from worker.child_process import TRAINING_COMMAND
from worker.death_signal import die_with_parent


def is_met(order: dict[str, Any], message: dict[str, Any]) -> bool:
    same = all(message.get(name) == order[name] for name in ("type", "phase"))
    return same and message.get("step", 0) >= order["step"]


def pass_on(child: "subprocess.Popen[bytes]", first_line: bytes) -> None:
    assert child.stdin is not None
    child.stdin.write(first_line)
    for line in sys.stdin.buffer:
        child.stdin.write(line)
        child.stdin.flush()
    child.stdin.close()


def main(order: dict[str, Any], supervisor_pid: int, report_descriptor: int) -> None:
    die_with_parent(supervisor_pid)
    os.set_inheritable(report_descriptor, False)
    first_line = sys.stdin.buffer.readline()
    is_first_attempt = json.loads(first_line)["claim"]["attempt"] == 1
    reader, writer = os.pipe()
    child = subprocess.Popen(
        [*TRAINING_COMMAND, str(os.getpid()), str(writer)],
        stdin=subprocess.PIPE,
        pass_fds=(writer,),
        bufsize=0,
    )
    os.close(writer)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    threading.Thread(target=pass_on, args=(child, first_line), daemon=True).start()
    with os.fdopen(reader, "rb") as messages:
        for line in messages:
            if is_first_attempt and is_met(order, json.loads(line)):
                child.kill()
                child.wait()
                os.kill(os.getpid(), signal.SIGKILL)
            os.write(report_descriptor, line)
    sys.exit(child.wait())


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
