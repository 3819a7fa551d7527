"""Draws coloured scenes of eight kinds, each in colours and sizes of its own draw."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sets.glyphs import smooth_field

Picture = NDArray[np.uint8]

SCENE_COUNT: Final = 8
_HUES: Final = (0.58, 0.33, 0.08, 0.75, 0.5, 0.0, 0.14, 0.9)
"""Middle hue of each scene, as a share of the colour circle."""
_HUE_SPREAD: Final = 0.05
_HALF_STEP: Final = 0.12
"""Half the step in brightness from the dark to the light colour."""
_GRAIN: Final = 0.04
"""Standard deviation of the noise of each pixel."""


def draw_scene(scene: int, side: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Return one scene, [3, side, side] float64 in [0, 1].

    Even scenes are made of lines and patches, odd ones of smooth fields; each mixes a dark and a
    light colour of about the scene's hue.

    Args:
        scene: Which of the eight kinds.
        side: Pixels a side.
        generator: Source of the draws.
    """
    pattern = _pattern(scene, side, generator)
    hue = (_HUES[scene] + generator.normal(0.0, _HUE_SPREAD)) % 1.0
    other_hue = hue + generator.normal(0.0, _HUE_SPREAD)
    value = generator.uniform(0.25, 0.75)
    dark = _colour(hue, generator.uniform(0.3, 0.7), value - _HALF_STEP)
    light = _colour(other_hue, generator.uniform(0.2, 0.6), value + _HALF_STEP)
    picture = dark[:, None, None] * (1 - pattern) + light[:, None, None] * pattern
    noise = generator.normal(0.0, _GRAIN, size=picture.shape)
    return np.asarray(np.clip(picture + noise, 0.0, 1.0))


def _pattern(scene: int, side: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Return how light each pixel of a scene is, [side, side] in [0, 1]."""
    angle = generator.uniform(0.0, np.pi)
    period = generator.uniform(0.15, 0.35) * side
    rows, columns = np.indices((side, side)) + generator.uniform(0, side, size=(2, 1, 1))
    along = np.cos(angle) * rows + np.sin(angle) * columns
    across = -np.sin(angle) * rows + np.cos(angle) * columns
    match scene:
        case 0:  # Stripes.
            pattern = (along / period) % 1 < 0.5  # noqa: PLR2004  # Half of a period.
        case 2:  # A chessboard.
            pattern = (along // period + across // period) % 2 == 0
        case 4:  # Dots.
            distance = np.hypot(along % period - period / 2, across % period - period / 2)
            pattern = distance < 0.3 * period
        case 6:  # Bricks.
            shifted = across + period * (along // period % 2)
            pattern = (along % period > 0.2 * period) & (shifted % (2 * period) > 0.2 * period)
        case 1:  # Clouds.
            pattern = (smooth_field(side, 5, generator) + 1) / 2
        case 3:  # A slope.
            pattern = (along - along.min()) / np.ptp(along)
        case 5:  # Waves.
            bend = 2 * smooth_field(side, 4, generator)
            pattern = (np.sin(2 * np.pi * along / period + bend) + 1) / 2
        case _:  # Islands.
            pattern = smooth_field(side, 9, generator) > 0
    return np.asarray(pattern, dtype=np.float64)


def _colour(hue: float, saturation: float, value: float) -> NDArray[np.float64]:
    """Return a colour [3] in [0, 1] from its hue, saturation and value, each in [0, 1]."""
    # Three triangle waves around the colour circle, a third of a turn apart.
    places = (hue + np.array([0.0, 2 / 3, 1 / 3])) % 1.0
    tints = np.clip(np.abs(6 * places - 3) - 1, 0.0, 1.0)
    return np.asarray(value * (1 - saturation * (1 - tints)))
