"""The set `letters`: letters of printed typefaces as the pool, of handwritten ones as the truth."""

import string
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from quality_sets import Quality, QualitySet, make_set, shuffled_pool
from scipy.ndimage import gaussian_filter, grey_dilation, grey_erosion

from sets.glyphs import Distortion, Face, draw_glyph, find_faces, smooth_field

Picture = NDArray[np.uint8]

SEED: Final = 41
SIDE: Final = 28
LETTERS: Final = string.ascii_lowercase
NOT_LETTERS: Final = "23456789&@#%?+=*"
REFERENCE_PER_CLASS: Final = 10
TEST_PER_CLASS: Final = 60
SIGN_SHARE: Final = 0.75
"""How many off-distribution pictures show a digit or a sign; the rest are clouds."""
COPIES: Final = 3
"""Identical pictures of each duplicated letter."""
POOL_PER_CLASS: Final[Mapping[Quality, int]] = {
    Quality.GOOD: 48,
    Quality.WRONG_LABEL: 38,
    Quality.OFF_DISTRIBUTION: 18,
    Quality.STYLE: 10,
    Quality.DUPLICATE: 6,
}
"""Pool samples of each quality for each label: 120, of which 40 % are good."""

PRINTED: Final[Mapping[str, tuple[str, ...]]] = {
    "font_amatic_sc/files": ("AmaticSC-Bold.ttf",),
    "font_caladea/files": ("Caladea-Italic.ttf", "Caladea-Regular.ttf"),
    "font_fredoka_one/files": ("FredokaOne-Regular.ttf",),
    "font_hanken_grotesk/files": ("HankenGrotesk-Bold.otf", "HankenGrotesk-LightItalic.otf"),
    "font_manrope/files": ("Manrope-Light.ttf", "Manrope-ExtraBold.ttf"),
    "font_source_sans_pro/files": ("SourceSansPro-LightIt.ttf", "SourceSansPro-Regular.ttf"),
    "font_source_serif_pro/files": ("SourceSerifPro-It.ttf", "SourceSerifPro-Semibold.ttf"),
    "matplotlib/mpl-data/fonts/ttf": ("DejaVuSans-Oblique.ttf", "DejaVuSerif.ttf"),
}
HANDWRITTEN: Final[Mapping[str, tuple[str, ...]]] = {
    "fontpkg_caveat/files": ("Caveat[wght].ttf@400", "Caveat[wght].ttf@700"),
    "fontpkg_dancing_script/files": ("DancingScript[wght].ttf@400", "DancingScript[wght].ttf@700"),
    "fontpkg_delius/files": ("Delius-Regular.ttf",),
    "fontpkg_great_vibes/files": ("GreatVibes-Regular.ttf",),
    "fontpkg_indie_flower/files": ("IndieFlower-Regular.ttf",),
    "fontpkg_kalam/files": ("Kalam-Light.ttf", "Kalam-Bold.ttf"),
    "fontpkg_lobster_two/files": ("LobsterTwo-Italic.ttf",),
    "fontpkg_oleo_script/files": ("OleoScript-Regular.ttf",),
    "fontpkg_pacifico/files": ("Pacifico-Regular.ttf",),
    "fontpkg_permanent_marker/files": ("PermanentMarker-Regular.ttf",),
    "fontpkg_satisfy/files": ("Satisfy-Regular.ttf",),
    "fontpkg_shadows_into_light/files": ("ShadowsIntoLight.ttf",),
    "fontpkg_yellowtail/files": ("Yellowtail-Regular.ttf",),
    "fontpkg_zeyada/files": ("Zeyada.ttf",),
}
"""Typefaces as `sets.glyphs.find_faces` reads them; all under the SIL Open Font License except
Caladea, Permanent Marker and Satisfy (Apache-2.0) and DejaVu (Bitstream Vera)."""

PRINTED_DISTORTION: Final = Distortion(slant=0.4, bend=0.04)
HANDWRITTEN_DISTORTION: Final = Distortion(turn=0.25, slant=0.3, bend=0.05)


def letters() -> QualitySet:
    """Return 26 classes: 3120 printed letters of mixed quality, 260 references, 1560 tests.

    The pool is 40 % good, 32 % another letter than the label says, 15 % digits, signs or clouds,
    8 % inverted, upside down or outlined, and 5 % copies.
    """
    generator = np.random.default_rng(SEED)
    printed, handwritten = find_faces(PRINTED), find_faces(HANDWRITTEN)
    drawn = [
        (picture, label, quality)
        for label in range(len(LETTERS))
        for quality, count in POOL_PER_CLASS.items()
        for picture in _draw_quality(quality, label, count, printed, generator)
    ]
    return make_set(
        "letters",
        tuple(LETTERS),
        pool=shuffled_pool(drawn, generator),
        reference=_handwritten(REFERENCE_PER_CLASS, handwritten, generator),
        test=_handwritten(TEST_PER_CLASS, handwritten, generator),
    )


def _handwritten(
    per_class: int, faces: Sequence[Face], generator: np.random.Generator
) -> tuple[Picture, NDArray[np.int64]]:
    labels = np.repeat(np.arange(len(LETTERS)), per_class)
    pictures = [_draw(LETTERS[label], faces, HANDWRITTEN_DISTORTION, generator) for label in labels]
    return np.stack(pictures), labels


def _draw_quality(
    quality: Quality,
    label: int,
    count: int,
    faces: Sequence[Face],
    generator: np.random.Generator,
) -> list[Picture]:
    def draw(character: str) -> Picture:
        return _draw(character, faces, PRINTED_DISTORTION, generator)

    own = LETTERS[label]
    match quality:
        case Quality.WRONG_LABEL:
            others = LETTERS.replace(own, "")
            return [draw(generator.choice(list(others))) for _ in range(count)]
        case Quality.OFF_DISTRIBUTION:
            return [_off_distribution(draw, generator) for _ in range(count)]
        case Quality.STYLE:
            return [_restyle(draw(own), number % 3) for number in range(count)]
        case Quality.DUPLICATE:
            originals = [draw(own) for _ in range(count // COPIES)]
            return [original for original in originals for _ in range(COPIES)]
        case _:
            return [draw(own) for _ in range(count)]


def _draw(
    character: str,
    faces: Sequence[Face],
    distortion: Distortion,
    generator: np.random.Generator,
) -> Picture:
    face = faces[int(generator.integers(len(faces)))]
    ink = draw_glyph(character, face, side=SIDE, distortion=distortion, generator=generator)
    softened = gaussian_filter(ink, generator.uniform(0.0, 0.5))
    return _as_picture(softened / softened.max())


def _off_distribution(draw: Callable[[str], Picture], generator: np.random.Generator) -> Picture:
    if generator.random() < SIGN_SHARE:
        return draw(generator.choice(list(NOT_LETTERS)))
    return _as_picture((smooth_field(SIDE, int(generator.integers(5, 10)), generator) + 1) / 2)


def _restyle(picture: Picture, kind: int) -> Picture:
    """Return a letter as no hand writes it: inverted, upside down, or as an outline."""
    if kind == 0:
        return 255 - picture
    if kind == 1:
        return picture[:, ::-1]
    ink = picture[0]
    return (grey_dilation(ink, size=(3, 3)) - grey_erosion(ink, size=(3, 3)))[None]


def _as_picture(ink: NDArray[np.floating]) -> Picture:
    return np.round(255 * np.clip(ink, 0, 1)).astype(np.uint8)[None]
