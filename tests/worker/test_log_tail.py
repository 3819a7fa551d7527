"""The end of a child's log is kept, whole lines only, within its bound."""

from worker.log_tail import LOG_TAIL_BYTES, LogTail


def test_short_log_is_kept_whole() -> None:
    tail = LogTail()
    tail.write(b"first\nsecond\n")

    assert tail.text() == "first\nsecond\n"


def test_long_log_loses_its_beginning_at_a_line_break() -> None:
    tail = LogTail(capacity_bytes=16)
    for number in range(100):
        tail.write(b"line %03d\n" % number)

    assert tail.text() == "line 099\n"


def test_log_never_outgrows_its_bound() -> None:
    tail = LogTail()
    tail.write(b"x" * (3 * LOG_TAIL_BYTES))

    assert len(tail.text()) == LOG_TAIL_BYTES


def test_bytes_that_a_database_cannot_hold_are_replaced() -> None:
    tail = LogTail()
    tail.write(b"before\x00after \xff\n")

    assert tail.text() == "beforeafter \ufffd\n"
