"""Small pictures of images, made once while an upload is validated."""

import io
import warnings

import pyarrow as pa
from PIL import Image

from curation.image_files import IMAGE_FORMATS

THUMBNAIL_SIDE = 96
# An image of no more bytes and pixels than this is shown as it is.
_SMALL_BYTES = 8_192
_QUALITY = 80
_GREY_MODES = frozenset({"1", "L", "LA", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})


def thumbnails(images: pa.Array) -> pa.Array:
    """Return a small WebP for each image, or null where the image itself is small.

    Args:
        images: Image files that validation has accepted.
    """
    return pa.array([_thumbnail(image.as_buffer()) for image in images], pa.binary())


def _thumbnail(content: pa.Buffer) -> bytes | None:
    with warnings.catch_warnings():
        # The image has been decoded before under stricter rules; nothing new is to be found here.
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(content), formats=IMAGE_FORMATS) as image:
            if max(image.size) <= THUMBNAIL_SIDE and content.size <= _SMALL_BYTES:
                return None
            # A JPEG is decoded at a fraction of its size, which saves most of the work.
            image.draft("RGB", (2 * THUMBNAIL_SIDE, 2 * THUMBNAIL_SIDE))
            small = image.convert("L" if image.mode in _GREY_MODES else "RGB")
            small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
            written = io.BytesIO()
            small.save(written, "WEBP", quality=_QUALITY, method=2)
            return written.getvalue()
