"""Questions that come together are answered together, and never by what is older than they are."""

import asyncio
import threading
from collections.abc import Collection

import pytest

from api.gathering import Gathering


class Oracle:
    """Doubles numbers; a call waits until it is let go."""

    def __init__(self) -> None:
        self.calls: list[set[int]] = []
        self.begun = threading.Semaphore(0)
        self.let_go = threading.Semaphore(0)

    def __call__(self, questions: Collection[int]) -> dict[int, int]:
        self.calls.append(set(questions))
        self.begun.release()
        assert self.let_go.acquire(timeout=30)
        return {question: 2 * question for question in questions}


def test_who_comes_during_a_call_shares_the_next_one() -> None:
    oracle = Oracle()

    async def ask() -> list[int]:
        gathering = Gathering(oracle)
        first = asyncio.create_task(gathering.answer(1))
        await asyncio.to_thread(oracle.begun.acquire)
        later = [asyncio.create_task(gathering.answer(number)) for number in (2, 3, 3, 1)]
        await asyncio.sleep(0)
        oracle.let_go.release(2)
        return await asyncio.gather(first, *later)

    assert asyncio.run(ask()) == [2, 4, 6, 6, 2]
    # The second question for 1 came after the first call had begun, so that call is no answer.
    assert oracle.calls == [{1}, {1, 2, 3}]


def test_those_who_come_together_within_the_delay_share_a_call() -> None:
    oracle = Oracle()
    oracle.let_go.release()

    async def ask() -> list[int]:
        gathering = Gathering(oracle, delay_seconds=0.05)
        return await asyncio.gather(*(gathering.answer(number) for number in range(50)))

    assert asyncio.run(ask()) == [2 * number for number in range(50)]
    assert oracle.calls == [set(range(50))]


def test_error_reaches_all_who_share_the_call_and_nobody_after_them() -> None:
    failures = [LookupError("away")]

    def answer_all(questions: Collection[int]) -> dict[int, int]:
        if failures:
            raise failures.pop()
        return dict.fromkeys(questions, 7)

    async def ask() -> None:
        gathering = Gathering(answer_all)
        both = await asyncio.gather(
            gathering.answer(1), gathering.answer(2), return_exceptions=True
        )
        assert [str(error) for error in both] == ["away", "away"]
        assert await gathering.answer(1) == 7

    asyncio.run(ask())


def test_who_has_left_keeps_nobody_from_an_answer() -> None:
    oracle = Oracle()

    async def ask() -> int:
        gathering = Gathering(oracle)
        left, stays = (asyncio.create_task(gathering.answer(number)) for number in (1, 2))
        await asyncio.to_thread(oracle.begun.acquire)
        left.cancel()
        oracle.let_go.release()
        with pytest.raises(asyncio.CancelledError):
            await left
        return await stays

    assert asyncio.run(ask()) == 4
