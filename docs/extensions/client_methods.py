"""Shows the methods of the Python client in its reference as what they are.

`winnow.client` makes each method of a function whose first argument is the way to the service
(`get_job = Operation(jobs.get_job)`); who reads the source alone takes that for an attribute.
"""

import re
from typing import Any

import griffe

_MAKERS = {"Operation", "Listing"}
# The classes that users meet, and those that their methods are written down in.
_METHODS_OF = {
    "client.Client": "client._Operations",
    "finished_job.FinishedJob": "finished_job._FinishedJobOperations",
}


class ClientMethods(griffe.Extension):
    """Gives `Client` and `FinishedJob` a method for each attribute that makes one."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Add the methods, once the whole package is read.

        Args:
            pkg: The package; others than `winnow` stay as they are.
        """
        if pkg.name != "winnow":
            return
        for name, written_in in _METHODS_OF.items():
            for attribute in pkg[written_in].members.values():
                call = attribute.value if attribute.is_attribute else None
                if isinstance(call, griffe.ExprCall) and str(call.function) in _MAKERS:
                    work = pkg[call.arguments[0].canonical_path.removeprefix("winnow.")]
                    pkg[name].set_member(attribute.name, _method(attribute, work))


def _method(attribute: griffe.Attribute, work: griffe.Function) -> griffe.Function:
    """Return the method that calls `work`, whose first argument is the object's own business."""
    first, *others = work.parameters
    myself = griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)
    said = re.sub(rf"^ *{first.name}: .*\n", "", work.docstring.value, flags=re.MULTILINE)
    method = griffe.Function(
        attribute.name,
        lineno=attribute.lineno,
        parameters=griffe.Parameters(myself, *others),
        returns=str(work.returns).replace("AsyncIterator", "Iterator"),
        docstring=griffe.Docstring(said),
    )
    method.docstring.parent = method
    return method
