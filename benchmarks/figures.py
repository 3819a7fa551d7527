"""Draws the traces of figure 2 of the source and the GSNR against batch size, as PNG in docs.

Reads the sets from the folder that WINNOW_BENCH_DATA names: digits with the convolutional network,
emoji with a small network on embeddings. What was measured is written to
benchmarks/results/figures.json, from which `--draw-only` draws again; sets that are not measured
this time stay in it.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from numpy.typing import NDArray
from quality_sets import find_set, load_set

from mts_core.before_after_table import mean_interval
from mts_core.pipeline import pipeline_config_from_mapping, run_pipeline
from mts_core.pipeline_config import MethodName

RESULTS: Final = Path(__file__).parent / "results" / "figures.json"
FIGURES: Final = Path(__file__).parents[1] / "docs" / "figures"
BATCH_SIZE: Final = 1024
COMMON: Final[dict[str, object]] = {
    "batch_size": BATCH_SIZE,
    "micro_batch_size": 256,
    "gsnr_every": 4,
    "evaluate": False,
}
SETTINGS: Final[dict[str, dict[str, object]]] = {
    "A_digits_fonts_to_mnist": {"classifier": "cnn", "encoder": "pixels_pca"},
    "B_emoji_styles": {"classifier": "mlp", "encoder": "efficientnet_lite0"},
}
LABELS: Final = {
    "A_digits_fonts_to_mnist": "digits, convolutional network",
    "B_emoji_styles": "emoji, network on embeddings",
}
COLOURS: Final = {"A_digits_fonts_to_mnist": "#0f6fc6", "B_emoji_styles": "#d1570a"}
TITLES: Final = {
    "weight_mean": "mean weight $S/N$",
    "effective_batch_size": "effective batch size $1/\\Sigma p^2$",
    "p_max": "largest share $\\max p$",
    "p_variance": "variance of the shares $\\mathrm{var}\\,p$",
    "gsnr_b256": "GSNR of 256 samples",
    "reference_loss": "loss on the reference set",
}
SMOOTHING: Final = {"gsnr_b256": 9}
"""Measurements in the running median of a series; the others are drawn as they are."""
STYLE: Final = {
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e7eb",
    "axes.edgecolor": "#9aa5b1",
    "xtick.color": "#52606d",
    "ytick.color": "#52606d",
    "legend.frameon": False,
    "savefig.dpi": 160,
    "savefig.facecolor": "white",
}


def main() -> None:
    """Measure and draw from the command line."""
    arguments = _parse_arguments()
    if not arguments.draw_only:
        if "WINNOW_BENCH_DATA" not in os.environ:
            sys.exit("Name the folder of the benchmark sets in WINNOW_BENCH_DATA.")
        torch.set_num_threads(1)
        folder = Path(os.environ["WINNOW_BENCH_DATA"])
        names = arguments.sets or list(SETTINGS)
        known = json.loads(RESULTS.read_text())["sets"] if RESULTS.exists() else {}
        measured = measure(folder, names, steps=arguments.steps, seed=arguments.seed)
        results = {"batch_size": BATCH_SIZE, "sets": {**known, **measured}}
        RESULTS.write_text(json.dumps(results) + "\n")
    results = json.loads(RESULTS.read_text())
    FIGURES.mkdir(exist_ok=True)
    with plt.rc_context(STYLE):
        draw_traces(results["sets"])
        draw_ratios(results["sets"])


def measure(folder: Path, names: Sequence[str], *, steps: int, seed: int) -> dict[str, Any]:
    """Return the traces of one run on each set that is there."""
    sets: dict[str, Any] = {}
    for name in names:
        path = find_set(folder, name)
        if path is None:
            print(f"{name}: skipped, not found in WINNOW_BENCH_DATA")
            continue
        config = pipeline_config_from_mapping(
            MethodName.MTS, {**COMMON, **SETTINGS[name], "steps": steps}
        )
        *_, last = run_pipeline(load_set(path).data, config, seed=seed)
        if last.result is None:
            raise RuntimeError("The run ended without a result.")
        sets[name] = {
            "traces": {
                series: [at.tolist(), [float(f"{value:.6g}") for value in values]]
                for series, (at, values) in last.result.traces.items()
            },
            "critical_batch_size": last.result.report["critical_batch_size"],
            "steps": steps,
            "seed": seed,
        }
        print(f"{name}: {sets[name]['critical_batch_size']}", flush=True)
    return sets


def draw_traces(sets: Mapping[str, Any]) -> None:
    """Draw how weights and their gradient's noise change over a run."""
    figure, axes = plt.subplots(2, 3, figsize=(10.5, 5.6), layout="constrained")
    for panel, (series, title) in zip(axes.flat, TITLES.items(), strict=True):
        for name, found in sets.items():
            at, values = (np.array(column) for column in found["traces"][series])
            width = SMOOTHING.get(series, 1)
            if width > 1:
                panel.plot(at, values, ".", color=COLOURS[name], alpha=0.3, markersize=4)
            panel.plot(
                at, running_median(values, width), color=COLOURS[name], label=LABELS[name], lw=1.8
            )
        panel.set_title(title, loc="left")
        panel.set_xlim(left=0)
    axes[0, 0].set_ylim(0, 1)
    axes[0, 1].set_ylim(0, 1.05 * BATCH_SIZE)
    axes[0, 2].set_ylim(bottom=0)
    axes[0, 2].ticklabel_format(axis="y", scilimits=(-3, -3), useMathText=True)
    axes[0, 2].axhline(1 / BATCH_SIZE, color="#9aa5b1", lw=1, ls="--")
    axes[0, 2].annotate(
        "$1/N$: all alike", (1, 1 / BATCH_SIZE), xycoords=("axes fraction", "data"),
        textcoords="offset points", xytext=(0, -11), ha="right", color="#52606d", fontsize=9,
    )  # fmt: skip
    axes[1, 0].set_yscale("log")
    axes[1, 1].axhline(0, color="#9aa5b1", lw=1)
    for panel in axes[1]:
        panel.set_xlabel("step")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    figure.savefig(FIGURES / "training-traces.png")
    plt.close(figure)


def draw_ratios(sets: Mapping[str, Any]) -> None:
    """Draw the GSNR against the batch size, with the critical size where it reaches one."""
    figure, panel = plt.subplots(figsize=(7, 4.4), layout="constrained")
    for place, (name, found) in enumerate(sets.items()):
        sizes, means, lows, highs, is_measured = ladder_of(found["traces"])
        colour = COLOURS[name]
        panel.fill_between(sizes, lows, highs, color=colour, alpha=0.14, lw=0)
        panel.plot(sizes, means, color=colour, lw=1.2)
        panel.plot(sizes[is_measured], means[is_measured], "o", color=colour, label=LABELS[name])
        panel.plot(sizes[~is_measured], means[~is_measured], "o", color=colour, mfc="white")
        mark_critical_size(panel, found["critical_batch_size"], colour, place=place)
    panel.axhline(1, color="#9aa5b1", lw=1, ls="--")
    panel.plot([], [], "o", color="#52606d", mfc="white", label="extrapolated")
    panel.set(xscale="log", yscale="log", xlabel="batch size", ylabel="GSNR, mean over the run")
    panel.set_xticks(
        [32, 64, 128, 256, 512, 1024], labels=["32", "64", "128", "256", "512", "1024"]
    )
    panel.yaxis.set_major_formatter("{x:g}")
    panel.minorticks_off()
    panel.legend(loc="upper left")
    figure.savefig(FIGURES / "gsnr-by-batch-size.png")
    plt.close(figure)


def mark_critical_size(
    panel: Axes, critical: Mapping[str, Any], colour: str, *, place: int
) -> None:
    """Mark on the line of GSNR one where the set of a place in the legend crosses it."""
    if critical["value"] is None:
        return
    panel.plot([critical["value"]], [1], "D", color=colour, markersize=7, mec="white")
    panel.annotate(
        f"{critical['value']:.0f}",
        (critical["value"], 1),
        textcoords="offset points",
        # One below the other: sizes may be nearly equal.
        xytext=(6, -14 - 13 * place),
        color=colour,
        fontweight="bold",
    )


def ladder_of(
    traces: Mapping[str, Any],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:  # Any: numbers.
    """Return batch sizes, mean GSNR, both ends of its interval, and whether it was measured."""
    rows = []
    for series, (_, values) in traces.items():
        if series.startswith("gsnr_b"):
            size, _, suffix = series.removeprefix("gsnr_b").partition("_")
            own = np.array(values)
            rows.append((int(size), own.mean(), *mean_interval(own), not suffix))
    sizes, means, lows, highs, is_measured = (
        np.array(column) for column in zip(*sorted(rows), strict=True)
    )
    # A logarithmic axis has no room for what may be zero.
    return sizes, means, np.maximum(lows, 1e-3), highs, is_measured.astype(bool)


def running_median(values: NDArray[Any], width: int) -> NDArray[Any]:  # Any: numbers.
    """Return the median of each value and its neighbours, fewer at the ends."""
    half = width // 2
    return np.array(
        [np.median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))]
    )


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sets", nargs="*", choices=list(SETTINGS))
    parser.add_argument("--draw-only", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
