/** The results of all samples as plain arrays, and what is read off them without the service. */
import { bytesOf } from "../api/client";

/** Scores, labels and the order of samples from best to worst. */
export interface Scores {
  scores: Float32Array;
  labels: Int32Array;
  /** Positions in the order of ranks: the best sample first. */
  byRank: Int32Array;
  /** The same for each class alone. */
  byRankOfClass: Int32Array[];
  /** The threshold that keeps as many samples as the job's own cut. */
  suggested: number;
}

export async function loadScores(jobId: string): Promise<Scores> {
  const column = (name: string) => bytesOf(`v1/jobs/${jobId}/columns/${name}`);
  const [score, label, rank, keep] = await Promise.all(
    ["score", "label", "rank", "keep"].map(column),
  );
  const order = arrange(new Float32Array(score!), new Int32Array(label!), new Int32Array(rank!));
  const kept = new Uint8Array(keep!).reduce((sum, flag) => sum + flag, 0);
  return { ...order, suggested: thresholdOfCount(order, kept) };
}

/** Two coordinates a sample, one after the other. */
export async function loadMap(jobId: string): Promise<Float32Array> {
  return new Float32Array(await bytesOf(`v1/jobs/${jobId}/columns/map`));
}

function arrange(
  scores: Float32Array,
  labels: Int32Array,
  ranks: Int32Array,
): Omit<Scores, "suggested"> {
  const byRank = new Int32Array(ranks.length);
  let classCount = 0;
  for (let position = 0; position < ranks.length; position += 1) {
    byRank[ranks[position]!] = position;
    classCount = Math.max(classCount, labels[position]! + 1);
  }
  const sizes = new Int32Array(classCount);
  for (const label of labels) sizes[label]! += 1;
  const byRankOfClass = Array.from(sizes, (size) => new Int32Array(size));
  const filled = new Int32Array(classCount);
  for (const position of byRank) {
    const label = labels[position]!;
    byRankOfClass[label]![filled[label]!] = position;
    filled[label]! += 1;
  }
  return { scores, labels, byRank, byRankOfClass };
}

/** How many samples of an order, best first, have at least this score. */
export function keptCount(scores: Float32Array, order: Int32Array, threshold: number): number {
  // The service compares in single precision, so the cut must be the same number.
  const cut = Math.fround(threshold);
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (scores[order[middle]!]! >= cut) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The number of scores in each of `bins` equal parts of [0, 1], of one class or of all. */
export function binCounts(scores: Float32Array, order: Int32Array | null, bins: number): Float64Array {
  const counts = new Float64Array(bins);
  const count = order ? order.length : scores.length;
  for (let index = 0; index < count; index += 1) {
    const score = scores[order ? order[index]! : index]!;
    counts[Math.min(bins - 1, Math.floor(score * bins))]! += 1;
  }
  return counts;
}

/** The threshold that keeps the best `count` samples. */
export function thresholdOfCount(
  { scores, byRank }: Pick<Scores, "scores" | "byRank">,
  count: number,
): number {
  if (count <= 0) return 1;
  return scores[byRank[Math.min(count, byRank.length) - 1]!]!;
}
