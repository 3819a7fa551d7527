"""What a client receives about single samples of a dataset."""

from pydantic import Field, JsonValue

from api.schemas.fields import ResponseModel


class PreviewView(ResponseModel):
    """One sample as a person sees it."""

    position: int
    sample_id: str = Field(examples=["seven/0001.png"])
    label: int
    class_name: str = Field(examples=["seven"])
    is_real: bool
    text: str | None = Field(description="The beginning of a text; null for other samples.")
    fields: dict[str, JsonValue] = Field(description="The sample's columns, by name.")
    has_image: bool = Field(description="Whether `/thumbnail` has a picture of it.")


class PreviewList(ResponseModel):
    """Samples in the order that was asked for."""

    items: list[PreviewView]
