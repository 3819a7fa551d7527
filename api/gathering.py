"""Questions that come at the same time, answered together by one call in a thread."""

import asyncio
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Generic, TypeVar, final

Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer")


@final
class Gathering(Generic[Question, Answer]):
    """Asks for many at once: whoever comes while a call is under way shares the next one.

    No answer is older than its question, so nothing is kept and nothing grows stale. Where few
    ask, each has a call of its own; where many do, the calls do not multiply, and no crowd of
    threads contends for the interpreter. All methods belong to the event loop.
    """

    def __init__(
        self,
        answer_all: Callable[[Collection[Question]], Mapping[Question, Answer]],
        *,
        delay_seconds: float = 0.0,
    ) -> None:
        """Prepare to answer.

        Args:
            answer_all: Called in a thread; returns an answer to each question.
            delay_seconds: How long to gather before a call.
        """
        self._answer_all = answer_all
        self._delay_seconds = delay_seconds
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._calls: asyncio.Task[None] | None = None

    async def answer(self, question: Question) -> Answer:
        """Return the next call's answer; an error of the call is raised by all who share it."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        if self._calls is None:
            self._calls = asyncio.create_task(self._call_while_asked())
        return await future

    def close(self) -> None:
        """Answer no more."""
        if self._calls is not None:
            self._calls.cancel()

    async def _call_while_asked(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(self._delay_seconds)
                # Whoever has left meanwhile has cancelled what it waited for.
                asked = [
                    (question, future) for question, future in self._waiting if not future.done()
                ]
                self._waiting = []
                await self._call(asked)
        finally:
            self._calls = None

    async def _call(self, asked: list[tuple[Question, asyncio.Future[Answer]]]) -> None:
        questions = {question for question, _ in asked}
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(None, self._answer_all, questions)
        except Exception as error:  # noqa: BLE001 - Each asker fails as if it had called itself.
            for _, future in asked:
                if not future.done():
                    future.set_exception(error)
            return
        for question, future in asked:
            if not future.done():
                future.set_result(answers[question])
