"""Single images: only PNG, JPEG and WebP, under a cap of pixels, with warnings as errors."""

import io
import warnings
from dataclasses import dataclass

from PIL import Image

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
# A file of more bytes than this holds no picture under any sensible cap of pixels.
MAX_IMAGE_BYTES = 64 << 20
IMAGE_FORMATS = ("PNG", "JPEG", "WEBP")
_FORMAT_OF_ENDING = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_SIGNATURES = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"RIFF": "webp"}
IMAGE_KINDS = tuple(_SIGNATURES.values())
_GREY_MODES = frozenset({"1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N", "I", "F"})


class ImageError(Exception):
    """An image that is left out.

    Attributes:
        reason: Stable code.
        detail: What is wrong, to follow the file's name.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What matters of a sound image.

    Attributes:
        width: In pixels.
        height: In pixels.
        is_grey: Whether it has no colour channels.
    """

    width: int
    height: int
    is_grey: bool


def is_image_name(name: str) -> bool:
    """Return whether a file's ending is one of an image."""
    return name.lower().endswith(IMAGE_ENDINGS)


def image_kind(content: bytes | memoryview) -> str:
    """Return `png`, `jpeg` or `webp`, by the first bytes of a file that validation let through."""
    start = bytes(content[:4])
    return next(kind for signature, kind in _SIGNATURES.items() if start.startswith(signature))


def image_ending(content: bytes | memoryview) -> str:
    """Return the ending of such a file's name, with the dot."""
    kind = image_kind(content)
    return ".jpg" if kind == "jpeg" else f".{kind}"


def check_image(content: bytes, name: str, *, max_pixels: int) -> ImageFacts:
    """Return the facts of an image after decoding all of it.

    Args:
        content: The file.
        name: Its name; the ending has to tell the format.
        max_pixels: Width times height at most; checked before any pixel is decoded.

    Raises:
        ImageError: It is no image of an allowed format, another one than its name says, animated,
            too large or damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return _decode(content, name, max_pixels)
    except (ImageError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError("IMAGE_TOO_LARGE", f"has more than {max_pixels} pixels") from error
    except Exception as error:  # A decoder of hostile bytes may raise anything.
        raise _refusal(content) from error


def _decode(content: bytes, name: str, max_pixels: int) -> ImageFacts:
    with Image.open(io.BytesIO(content), formats=IMAGE_FORMATS) as image:
        ending = next(ending for ending in IMAGE_ENDINGS if name.lower().endswith(ending))
        if image.format != _FORMAT_OF_ENDING[ending]:
            raise ImageError("NOT_WHAT_NAME_SAYS", f"is a {image.format} file")
        width, height = image.size
        if width * height > max_pixels:
            raise ImageError(
                "IMAGE_TOO_LARGE", f"has {width} x {height} pixels, above {max_pixels}"
            )
        if getattr(image, "n_frames", 1) > 1:
            raise ImageError("ANIMATED_IMAGE", "has more than one frame")
        if image.mode == "P" and isinstance(image.info.get("transparency"), bytes):
            # Pillow warns that colours get lost when a run converts it.
            detail = "has a palette with partial transparency, to be saved as RGB"
            raise ImageError("UNSUPPORTED_IMAGE", detail)
        is_grey = image.mode in _GREY_MODES
        # The run converts images so; what cannot be converted has to be found here.
        image.convert("L" if is_grey else "RGB").load()
        return ImageFacts(width, height, is_grey)


def _refusal(content: bytes) -> ImageError:
    is_png = content.startswith(b"\x89PNG\r\n\x1a\n")
    is_jpeg = content.startswith(b"\xff\xd8\xff")
    is_webp = content.startswith(b"RIFF") and content[8:12] == b"WEBP"
    if is_png or is_jpeg or is_webp:
        return ImageError("CORRUPT_IMAGE", "does not decode")
    return ImageError("NOT_WHAT_NAME_SAYS", "is no PNG, JPEG or WebP image")
