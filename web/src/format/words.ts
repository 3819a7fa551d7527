/** Numbers, times and names as people read them. */
import type { Dataset } from "../api/client";

const WHOLE = new Intl.NumberFormat("en");

export const whole = (value: number): string => WHOLE.format(value);
/** `1 sample`, `3,000 samples`. */
export const counted = (count: number, noun: string): string =>
  `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;

/** How many rows of a table, or files of a folder, were left out. */
export const leftOut = (dataset: Pick<Dataset, "modality" | "rejected_count">): string =>
  `${counted(dataset.rejected_count, dataset.modality === "image" ? "file" : "row")} left out`;

export const percent = (value: number, digits = 1): string => `${(100 * value).toFixed(digits)} %`;

export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB"];
  let size = value;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${size.toFixed(unit && size < 100 ? 1 : 0)} ${units[unit]}`;
}

export function duration(seconds: number): string {
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

export function moment(iso: string): string {
  return new Date(iso).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
}

export const clock = (iso: string): string =>
  new Date(iso).toLocaleTimeString("en", { hour12: false });

/** A score or threshold, with the digits that tell it from 0. */
export const shownScore = (score: number): string =>
  score > 0 && score < 0.001 ? score.toExponential(1) : score.toFixed(3);

/** A score for a place as narrow as a caption. */
export const briefScore = (score: number): string =>
  score > 0 && score < 0.0005 ? "≈ 0" : score.toFixed(3);

/** A factor in three digits, without zeros at its end: `30`, `33.3`. */
export const factor = (value: number): string => String(Number(value.toPrecision(3)));

/** `mts_selected` becomes `MTS selected`. */
export function spelled(name: string): string {
  const words = name.replaceAll("_", " ");
  const known = words
    .replace(/\bmts\b/g, "MTS")
    .replace(/\bel2n\b/g, "EL2N")
    .replace(/\bknn shapley\b/g, "KNN-Shapley")
    .replace(/\bno selection upweighted\b/g, "no selection, reference upweighted")
    .replace(/\bgsnr\b/g, "GSNR");
  return known.charAt(0).toUpperCase() + known.slice(1);
}
