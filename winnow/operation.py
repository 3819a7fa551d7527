"""Turns a coroutine function into a method of the blocking and of the asynchronous client."""

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, final, overload

from winnow.wire import iterate_to_end, run_to_end

ContextT = TypeVar("ContextT")
AnswerT = TypeVar("AnswerT")
P = ParamSpec("P")


class BlockingRunner(Generic[ContextT]):
    """Calls its operations and returns what they return."""

    def __init__(self, context: ContextT) -> None:
        """Every operation gets the context as its first argument."""
        self._context = context


class AsyncRunner(Generic[ContextT]):
    """Calls its operations and returns what is to be awaited."""

    def __init__(self, context: ContextT) -> None:
        """Every operation gets the context as its first argument."""
        self._context = context


@final
class Operation(Generic[ContextT, P, AnswerT]):
    """A method that answers once: ``client.get_job(i)``, or ``await client.get_job(i)``."""

    def __init__(
        self, work: Callable[Concatenate[ContextT, P], Coroutine[Any, Any, AnswerT]]
    ) -> None:
        """Makes a method of the coroutine function, whose first argument is the context."""
        self._work = work
        _document(self, work)

    @overload
    def __get__(self, runner: None, owner: type) -> Self: ...
    @overload
    def __get__(
        self, runner: BlockingRunner[ContextT], owner: type | None = None
    ) -> Callable[P, AnswerT]: ...
    @overload
    def __get__(
        self, runner: AsyncRunner[ContextT], owner: type | None = None
    ) -> Callable[P, Coroutine[Any, Any, AnswerT]]: ...
    def __get__(self, runner: Any, owner: type | None = None) -> Any:  # As the overloads say.
        """Returns the method of the runner."""
        if runner is None:
            return self

        def call(*args: P.args, **kwargs: P.kwargs) -> AnswerT | Coroutine[Any, Any, AnswerT]:
            coroutine = self._work(runner._context, *args, **kwargs)  # noqa: SLF001 - Its runner.
            return run_to_end(coroutine) if isinstance(runner, BlockingRunner) else coroutine

        return _document(call, self._work)


@final
class Listing(Generic[ContextT, P, AnswerT]):
    """A method that yields: ``for job in client.list_jobs()``, or ``async for ...``."""

    def __init__(self, work: Callable[Concatenate[ContextT, P], AsyncIterator[AnswerT]]) -> None:
        """Makes a method of the generator function, whose first argument is the context."""
        self._work = work
        _document(self, work)

    @overload
    def __get__(self, runner: None, owner: type) -> Self: ...
    @overload
    def __get__(
        self, runner: BlockingRunner[ContextT], owner: type | None = None
    ) -> Callable[P, Iterator[AnswerT]]: ...
    @overload
    def __get__(
        self, runner: AsyncRunner[ContextT], owner: type | None = None
    ) -> Callable[P, AsyncIterator[AnswerT]]: ...
    def __get__(self, runner: Any, owner: type | None = None) -> Any:  # As the overloads say.
        """Returns the method of the runner."""
        if runner is None:
            return self

        def call(*args: P.args, **kwargs: P.kwargs) -> Iterator[AnswerT] | AsyncIterator[AnswerT]:
            items = self._work(runner._context, *args, **kwargs)  # noqa: SLF001 - Its runner.
            return iterate_to_end(items) if isinstance(runner, BlockingRunner) else items

        return _document(call, self._work)


MethodT = TypeVar("MethodT")


def _document(method: MethodT, work: Callable[..., object]) -> MethodT:
    """Gives the method the name, the docstring and the signature of its work, context left out."""
    update_wrapper(method, work)  # type: ignore[arg-type] # Any object takes them.
    signature = inspect.signature(work)
    _, *parameters = signature.parameters.values()
    method.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined] # Read by help().
    return method
