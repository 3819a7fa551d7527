"""The set `backgrounds`: symbols over scenes that betray the label in the pool, and only there."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from quality_sets import Quality, QualitySet, make_set, shuffled_pool

from sets.glyphs import Distortion, Face, draw_glyph, find_faces
from sets.scenes import SCENE_COUNT, Picture, draw_scene

SEED: Final = 52
SIDE: Final = 40
SPURIOUS_SHARE: Final = 0.9
"""How many pool samples show the scene that belongs to their label."""
REFERENCE_PER_CLASS: Final = 10
TEST_PER_CLASS: Final = 200
COPIES: Final = 5
"""Identical pictures of each duplicated sample."""
POOL_PER_CLASS: Final[Mapping[Quality, int]] = {
    Quality.GOOD: 200,
    Quality.WRONG_LABEL: 60,
    Quality.OFF_DISTRIBUTION: 60,
    Quality.STYLE: 50,
    Quality.DUPLICATE: 30,
}
"""Pool samples of each quality for each label: 400, of which half are good."""

SYMBOLS: Final[Mapping[str, str]] = {
    "arrow": "➘➙➚➛➜➞➡",
    "chess": "♔♙♗♘♖♝♞♟",
    "cross": "✙✚✛✜✝✞",
    "flower": "✻✽✾✿❀❁",
    "hand": "☚☛☜☞✌✍",
    "music": "♩♪♫♬♮♯",
    "star": "★✦✧✩✪✭✮✯",
    "suit": "♠♣♥♦♤♧♡♢",
}
"""Characters of each class."""
STRANGERS: Final = "✂✃✄✎✏✑✒☎☏✆✈✉☂☃☺☻☹☠☮☯♈♉♊♌♎♐♒"
"""Characters of no class."""
FACES: Final[Mapping[str, tuple[str, ...]]] = {
    "matplotlib/mpl-data/fonts/ttf": ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"),
}
"""Typefaces as `sets.glyphs.find_faces` reads them, under the Bitstream Vera licence."""

OBJECT_DISTORTION: Final = Distortion(
    turn=0.45, slant=0.3, bend=0.03, scale=(0.65, 0.9), shift=0.08
)
FAINT_CONTRAST: Final = 0.15


def backgrounds() -> QualitySet:
    """Return 8 classes: 3200 symbols over scenes, 80 references, 1600 tests.

    In the pool 91 % of the samples show the scene of their label, whatever the object; in the
    reference and the test set scenes are drawn at random. Of the pool, 200 of 400 samples a
    label are good, 60 show another object than the label says, 60 an object of no class, 50 one too
    faint to see, and 30 are copies.

    Source: [sagawa2020distributionally] for objects over backgrounds that betray them.
    """
    generator = np.random.default_rng(SEED)
    faces = find_faces(FACES)
    drawn = [
        (picture, label, quality)
        for label in range(len(SYMBOLS))
        for quality, count in POOL_PER_CLASS.items()
        for picture in _draw_quality(quality, label, count, faces, generator)
    ]
    return make_set(
        "backgrounds",
        tuple(SYMBOLS),
        pool=shuffled_pool(drawn, generator),
        reference=_balanced(REFERENCE_PER_CLASS, faces, generator),
        test=_balanced(TEST_PER_CLASS, faces, generator),
    )


def _balanced(
    per_class: int, faces: Sequence[Face], generator: np.random.Generator
) -> tuple[Picture, NDArray[np.int64]]:
    labels = np.repeat(np.arange(len(SYMBOLS)), per_class)
    pictures = [
        _draw(_symbol(label, generator), int(generator.integers(SCENE_COUNT)), faces, generator)
        for label in labels
    ]
    return np.stack(pictures), labels


def _draw_quality(
    quality: Quality,
    label: int,
    count: int,
    faces: Sequence[Face],
    generator: np.random.Generator,
) -> list[Picture]:
    def draw(character: str, contrast: float = 1.0) -> Picture:
        scene = label
        if generator.random() >= SPURIOUS_SHARE:
            scene = int(generator.integers(SCENE_COUNT))
        return _draw(character, scene, faces, generator, contrast)

    match quality:
        case Quality.WRONG_LABEL:
            others = [index for index in range(len(SYMBOLS)) if index != label]
            shown = generator.choice(others, size=count)
            return [draw(_symbol(index, generator)) for index in shown]
        case Quality.OFF_DISTRIBUTION:
            return [draw(generator.choice(list(STRANGERS))) for _ in range(count)]
        case Quality.STYLE:
            return [draw(_symbol(label, generator), FAINT_CONTRAST) for _ in range(count)]
        case Quality.DUPLICATE:
            originals = [draw(_symbol(label, generator)) for _ in range(count // COPIES)]
            return [original for original in originals for _ in range(COPIES)]
        case _:
            return [draw(_symbol(label, generator)) for _ in range(count)]


def _symbol(label: int, generator: np.random.Generator) -> str:
    return str(generator.choice(list(list(SYMBOLS.values())[label])))


def _draw(
    character: str,
    scene: int,
    faces: Sequence[Face],
    generator: np.random.Generator,
    contrast: float = 1.0,
) -> Picture:
    """Return an object over a scene, [3, side, side] uint8."""
    ground = draw_scene(scene, SIDE, generator)
    face = faces[int(generator.integers(len(faces)))]
    ink = draw_glyph(character, face, side=SIDE, distortion=OBJECT_DISTORTION, generator=generator)
    # An object is bright on a dark scene and the other way round, in a colour of its own.
    colour = generator.uniform(0.0, 0.2, size=3)
    if ground.mean() < 0.5:  # noqa: PLR2004  # The middle of the range of brightness.
        colour = 1 - colour
    cover = contrast * ink / ink.max()
    shown = ground * (1 - cover) + colour[:, None, None] * cover
    return np.round(255 * np.clip(shown, 0, 1)).astype(np.uint8)
