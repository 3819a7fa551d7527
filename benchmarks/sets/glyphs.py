"""Draws characters of openly licensed typefaces as a hand or a printer might have left them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import map_coordinates

_SHEET_SIDE: Final = 96
_INK_SIDE: Final = 60
"""The longer side of the ink on a sheet, so that turning it cuts nothing off."""
_FONT_SIZE: Final = 72
_OVERSAMPLING: Final = 2
"""Points along each side of a pixel that are averaged, against jagged edges."""
_BEND_CELLS: Final = 5


@dataclass(frozen=True)
class Face:
    """One typeface.

    Attributes:
        path: Font file.
        weight: Position on the weight axis of a variable font; none leaves the default.
    """

    path: Path
    weight: int | None = None


@dataclass(frozen=True)
class Distortion:
    """How far a glyph strays from its typeface; each value bounds a uniform draw.

    Attributes:
        turn: Radians to either side.
        slant: Horizontal shift for each unit of height, to either side.
        stretch: Relative change of the width, to either side.
        bend: Shift of a point of the sheet, as a share of its side.
        scale: Smallest and largest share of the picture that the ink spans.
        shift: Shift of the glyph, as a share of the picture's side.
    """

    turn: float = 0.2
    slant: float = 0.3
    stretch: float = 0.2
    bend: float = 0.03
    scale: tuple[float, float] = (0.7, 0.8)
    shift: float = 0.04


def find_faces(files: Mapping[str, tuple[str, ...]]) -> list[Face]:
    """Return typefaces without importing the packages that carry them.

    Args:
        files: Folder inside an installed package to font files; a file may end in `@` and a weight.

    Raises:
        ModuleNotFoundError: A package of requirements/dev.txt is not installed.
    """
    faces = []
    for place, names in files.items():
        package, _, inside = place.partition("/")
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"{package} is missing: install requirements/dev.txt")
        for name in names:
            file_name, _, weight = name.partition("@")
            path = Path(spec.origin).parent / inside / file_name
            faces.append(Face(path, int(weight) if weight else None))
    return faces


def draw_glyph(
    character: str,
    face: Face,
    *,
    side: int,
    distortion: Distortion,
    generator: np.random.Generator,
) -> NDArray[np.float32]:
    """Return one distorted character, [side, side] float32, ink 1 on ground 0.

    Args:
        character: What to draw.
        face: Typeface.
        side: Pixels a side.
        distortion: How far the glyph may stray.
        generator: Source of the draws.
    """
    fine = side * _OVERSAMPLING
    points = _sheet_points(fine, distortion, generator)
    ink = map_coordinates(_sheet(character, face), points, order=1, mode="constant")
    blocks = ink.reshape(side, _OVERSAMPLING, side, _OVERSAMPLING)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)


def smooth_field(side: int, cells: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """Return a random field [side, side] float32 without sharp edges, scaled to [-1, 1].

    Args:
        side: Points a side.
        cells: Independent values a side; the fewer, the smoother.
        generator: Source of the draws.
    """
    coarse = Image.fromarray(generator.standard_normal((cells, cells), dtype=np.float32))
    field = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC))
    return field / np.abs(field).max()


def _sheet_points(
    fine: int, distortion: Distortion, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return where on the sheet each point of the picture lies, [2, fine, fine]."""
    angle = generator.uniform(-distortion.turn, distortion.turn)
    slant = generator.uniform(-distortion.slant, distortion.slant)
    stretch = 1 + generator.uniform(-distortion.stretch, distortion.stretch)
    scale = _INK_SIDE / (generator.uniform(*distortion.scale) * fine)
    offset = generator.uniform(-distortion.shift, distortion.shift, size=2) * fine
    rows, columns = np.indices((fine, fine)) - (fine - 1) / 2
    rows, columns = rows - offset[0], columns - offset[1]
    turned_rows = np.cos(angle) * rows - np.sin(angle) * columns
    turned_columns = np.sin(angle) * rows + np.cos(angle) * columns
    points = np.stack([turned_rows, (turned_columns + slant * turned_rows) / stretch]) * scale
    bends = np.stack([smooth_field(fine, _BEND_CELLS, generator) for _ in range(2)])
    return np.asarray(points + bends * distortion.bend * _SHEET_SIDE + (_SHEET_SIDE - 1) / 2)


@lru_cache(maxsize=4096)
def _sheet(character: str, face: Face) -> NDArray[np.float32]:
    """Return a character in the middle of a sheet, its longer side always the same."""
    font = ImageFont.truetype(face.path, _FONT_SIZE)
    if face.weight is not None:
        font.set_variation_by_axes([face.weight])
    canvas = Image.new("L", (4 * _FONT_SIZE, 4 * _FONT_SIZE))
    middle = 2 * _FONT_SIZE
    ImageDraw.Draw(canvas).text((middle, middle), character, fill=255, font=font, anchor="mm")
    ink = canvas.crop(canvas.getbbox())
    factor = _INK_SIDE / max(ink.size)
    small = ink.resize([max(1, round(length * factor)) for length in ink.size])
    sheet = Image.new("L", (_SHEET_SIDE, _SHEET_SIDE))
    sheet.paste(small, ((_SHEET_SIDE - small.width) // 2, (_SHEET_SIDE - small.height) // 2))
    return np.asarray(sheet, dtype=np.float32) / 255
