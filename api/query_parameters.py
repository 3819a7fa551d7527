"""Query parameters that an operation does not name are refused, like a body's unknown fields."""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from fastapi import FastAPI, Request

from curation.errors import InvalidInputError

_LONGEST_SHOWN = 80


class QueryParameters:
    """The query parameters that the OpenAPI document names for each operation."""

    def __init__(self, app: FastAPI) -> None:
        """Take `app`, whose document is read when a request first has a query."""
        self._app = app

    @cached_property
    def _names(self) -> Mapping[str, frozenset[str]]:
        """By operation id."""
        return {
            operation["operationId"]: _names_of(operation)
            for operations in self._app.openapi()["paths"].values()
            for operation in operations.values()
        }

    def refuse_unknown(self, request: Request) -> None:
        """Refuse a request to an operation of the document with a parameter that it does not name.

        Routes that are not in the document, such as the dashboard's pages, take what comes.

        Raises:
            InvalidInputError: There is such a parameter.
        """
        if not request.query_params:
            return
        known = self._names.get(request.scope["route"].operation_id)
        if known is None:
            return
        unknown = next((name for name in request.query_params if name not in known), None)
        if unknown is not None:
            raise _unknown_parameter(unknown, sorted(known))


def _names_of(operation: Mapping[str, Any]) -> frozenset[str]:  # JSON values.
    parameters = operation.get("parameters", [])
    return frozenset(known["name"] for known in parameters if known["in"] == "query")


def _unknown_parameter(name: str, known: list[str]) -> InvalidInputError:
    shown = name[:_LONGEST_SHOWN]
    near = get_close_matches(shown, known, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    return InvalidInputError(
        "UNKNOWN_PARAMETER",
        f"This operation has no query parameter {shown!r}.",
        field=shown,
        cure=f"{hint}It has {', '.join(known) or 'none'}.",
    )
