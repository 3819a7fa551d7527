/** Which series are drawn together, and under which name. */
import type { Schemas } from "../api/client";
import { spelled } from "../format/words";

type Series = Record<string, Schemas["TraceSeries"]>;

export interface Chart {
  title: string;
  note: string;
  lines: { name: string; series: Schemas["TraceSeries"] }[];
}

const SINGLE: [string, string, string][] = [
  ["effective_batch_size", "Effective batch size", "How many samples a weighted batch is worth."],
  ["p_max", "Largest p", "The largest share of one sample in a batch."],
  ["p_variance", "Variance of p", "How unequal the shares in a batch are."],
  ["weight_mean", "Mean weight", "The mean of the weights in a batch."],
  ["critical_batch_size", "Critical batch size", "Where the gradient's signal equals its noise."],
];

/** The charts that the recorded series allow, in the order in which they are read. */
export function chartsOf(series: Series): Chart[] {
  const charts: Chart[] = [];
  const single = (name: string, title: string, note: string) => {
    const found = series[name];
    if (found) charts.push({ title, note, lines: [{ name: title, series: found }] });
  };
  for (const [name, title, note] of SINGLE.slice(0, 3)) single(name, title, note);
  const gsnr = Object.keys(series)
    .filter((name) => name.startsWith("gsnr_b"))
    .sort((left, right) => batchOf(left) - batchOf(right));
  if (gsnr.length > 0) {
    charts.push({
      title: "GSNR by batch size",
      note: "Signal over noise of the meta-gradient; below 1 a step is mostly noise. Dashed: extrapolated.",
      lines: gsnr.map((name) => ({
        name: `B = ${batchOf(name)}${name.endsWith("extrapolated") ? " *" : ""}`,
        series: series[name]!,
      })),
    });
  }
  const losses = Object.keys(series).filter((name) => name.endsWith("_loss"));
  if (losses.length > 0) {
    charts.push({
      title: "Losses",
      note: "On the weighted pool and on the reference set.",
      lines: losses.map((name) => ({ name: spelled(name.replace(/_loss$/, "")), series: series[name]! })),
    });
  }
  for (const [name, title, note] of SINGLE.slice(3)) single(name, title, note);
  return charts;
}

const batchOf = (name: string): number => Number(/^gsnr_b(\d+)/.exec(name)?.[1] ?? 0);
