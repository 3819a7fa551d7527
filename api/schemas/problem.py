"""The body of every error: RFC 9457 problem details with Winnow's extensions."""

from pydantic import Field

from api.schemas.fields import ResponseModel


class ProblemCause(ResponseModel):
    """One of several causes, where a request is wrong in more than one place."""

    field: str | None = Field(description="Where, e.g. `config.steps` or `limit`.")
    detail: str = Field(description="What is wrong there, in one sentence.")


class Problem(ResponseModel):
    """Why a request was refused, for programs (`reason`) and for people (`detail`, `cure`)."""

    type: str = Field(default="about:blank", description="Always `about:blank`; see `reason`.")
    title: str = Field(description="The name of the HTTP status.", examples=["Conflict"])
    status: int = Field(description="The HTTP status again.", examples=[409])
    detail: str = Field(
        description="One sentence that is safe to show.",
        examples=["The dataset is used by a job that has not finished."],
    )
    instance: str = Field(description="The path of the request.", examples=["/v1/datasets/0193"])
    reason: str = Field(
        description="A stable code in upper snake case.", examples=["DATASET_IN_USE"]
    )
    field: str | None = Field(default=None, description="The field at fault, as a dotted path.")
    row: int | None = Field(
        default=None, description="The row at fault, counted from 1 in the user's own file."
    )
    cure: str | None = Field(default=None, description="What would make the request succeed.")
    request_id: str = Field(description="Names this request in the service's log.")
    errors: list[ProblemCause] = Field(
        default=[], description="Every cause, where there are several; the first is `field`."
    )
