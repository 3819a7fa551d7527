"""A training process lives only while its supervisor does and speaks."""

import subprocess
import sys
import time

import pytest
from supervision import is_alive, wait_until

from worker.child_link import Alive, encode_for_child
from worker.death_signal import EXIT_ORPHANED

LISTENER = """
import os, sys, time
from worker.parent_watch import SupervisorListener
listener = SupervisorListener(os.fdopen(0, "rb"), on_stop=lambda: os._exit(3))
listener.listen(float(sys.argv[1]))
print("listening", flush=True)
time.sleep(60)
"""
MIDDLE = """
import os, subprocess, sys, time
code = '''
import os, sys, time
from worker.death_signal import die_with_parent
die_with_parent(int(sys.argv[1]))
print(os.getpid(), flush=True)
time.sleep(60)
'''
child = subprocess.Popen([sys.executable, "-c", code, sys.argv[1] or str(os.getpid())])
time.sleep(60)
"""


def start_listener(lease_seconds: float) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENER, str(lease_seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"listening\n"
    return process


def test_child_leaves_after_a_lease_of_silence() -> None:
    with start_listener(0.4) as process:
        assert process.wait(5) == EXIT_ORPHANED


def test_child_stays_while_it_hears_its_supervisor() -> None:
    with start_listener(1.0) as process:
        assert process.stdin is not None
        for _ in range(10):
            process.stdin.write(encode_for_child(Alive()))
            time.sleep(0.2)
        assert process.poll() is None
        process.kill()


def test_child_leaves_at_once_when_the_pipe_ends() -> None:
    with start_listener(60.0) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(5) == EXIT_ORPHANED


def test_child_hears_the_request_to_stop() -> None:
    with start_listener(60.0) as process:
        assert process.stdin is not None
        process.stdin.write(b'{"type":"stop"}\n')
        assert process.wait(5) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="The death signal is Linux's own.")
def test_child_dies_with_its_parent_even_if_it_hears_nothing() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", MIDDLE, ""], stdout=subprocess.PIPE, text=True
    ) as middle:
        assert middle.stdout is not None
        pid = int(middle.stdout.readline())
        middle.kill()
        middle.wait()
        wait_until(lambda: not is_alive(pid), seconds=5)


@pytest.mark.skipif(sys.platform != "linux", reason="The second look follows Linux's signal.")
def test_child_whose_parent_died_before_the_request_leaves_by_itself() -> None:
    code = "from worker.death_signal import die_with_parent; die_with_parent(1 << 22)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == EXIT_ORPHANED
