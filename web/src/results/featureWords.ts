/** What a feature measures, for somebody who has not read about the method. */
import { spelled } from "../format/words";

const WORDS: Record<string, string> = {
  real_centre_cosine: "Likeness to the centre of its class's real samples",
  synthetic_centre_cosine: "Likeness to the centre of its class's synthetic samples",
  neighbour_label_agreement: "Neighbours in the pool that have its label",
  centre_distance_percentile: "How unusually far it lies from the mean of its class",
  gradient_norm: "How hard it pulls at a classifier (gradient norm)",
  error_norm: "How wrong a classifier is about it (error norm)",
  forgetting_count: "How often it was learned and forgotten again",
  online_reference_mean_similarity: "Likeness to its class's mean reference sample, as learned",
  label_support: "How far real samples and the pool support its label",
};
const NUMBERED: [RegExp, string][] = [
  [/^nearest_real_cosine_(\d)$/, "real sample of its class"],
  [/^nearest_synthetic_cosine_(\d)$/, "synthetic sample of its class"],
  [/^online_real_similarity_(\d)$/, "reference sample of its class, as learned"],
];
const PLACES = ["", "nearest", "second nearest", "third nearest"];

export function wordsOfFeature(name: string): string {
  for (const [pattern, what] of NUMBERED) {
    const place = PLACES[Number(pattern.exec(name)?.[1])];
    if (place) return `Likeness to the ${place} ${what}`;
  }
  return WORDS[name] ?? spelled(name);
}

/** Whether a feature is the same for all samples of a class, and so explains none of them. */
export const isOfClass = (name: string): boolean => /^(class|group)_embedding/.test(name);
