import { Text, useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";

import type { Chart } from "./charts";

const LINES = {
  light: ["#1c7ed6", "#e8590c", "#2b8a3e", "#9c36b5", "#0b7285", "#c2255c"],
  dark: ["#4dabf7", "#ffa94d", "#69db7c", "#da77f2", "#3bc9db", "#faa2c1"],
};

/** One chart; its cursor moves with those of all charts of the same key. */
export function TraceChart({ chart, syncKey }: { chart: Chart; syncKey: string }) {
  const place = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme("light");
  useEffect(() => {
    const target = place.current;
    if (!target) return;
    const plot = new uPlot(optionsOf(target, chart, syncKey, scheme), dataOf(chart), target);
    const observer = new ResizeObserver(() => plot.setSize({ width: target.clientWidth, height: 180 }));
    observer.observe(target);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
  }, [chart, syncKey, scheme]);
  return (
    <figure>
      <figcaption>
        {chart.title}
        <Text size="xs" c="dimmed" fw={400}>
          {chart.note}
        </Text>
      </figcaption>
      <div ref={place} role="img" aria-label={descriptionOf(chart)} />
    </figure>
  );
}

function optionsOf(target: HTMLElement, chart: Chart, syncKey: string, scheme: "light" | "dark"): uPlot.Options {
  const style = getComputedStyle(target);
  const text = style.getPropertyValue("--mantine-color-dimmed");
  const grid = { stroke: style.getPropertyValue("--winnow-line"), width: 1 };
  const axis = { stroke: text, grid, ticks: { show: false }, font: "11px system-ui" };
  const colours = LINES[scheme];
  return {
    width: target.clientWidth,
    height: 180,
    cursor: { sync: { key: syncKey }, points: { size: 6 }, drag: { x: true, y: false } },
    legend: { live: true },
    scales: { x: { time: false } },
    axes: [axis, { ...axis, size: 56, values: (_plot, ticks) => ticks.map(short) }],
    series: [
      { label: "step" },
      ...chart.lines.map((line, index) => ({
        label: line.name,
        stroke: colours[index % colours.length],
        width: 1.6,
        spanGaps: true,
        points: { show: false },
        ...(line.name.endsWith("*") ? { dash: [5, 4] } : {}),
        value: (_plot: uPlot, value: number | null) => (value === null ? "-" : short(value)),
      })),
    ],
  };
}

/** All lines of a chart over the steps of any of them. */
function dataOf(chart: Chart): uPlot.AlignedData {
  return uPlot.join(
    chart.lines.map(({ series }) => [series.steps, series.values] as uPlot.AlignedData),
  );
}

function short(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e6)) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}

function descriptionOf(chart: Chart): string {
  const ends = chart.lines.map(({ name, series }) => {
    const last = series.values.findLast((value) => value !== null);
    return `${name} ends at ${last == null ? "no number" : short(last)}`;
  });
  return `${chart.title}: ${ends.join("; ")}`;
}
