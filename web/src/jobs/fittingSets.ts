/** Which sets go together: the same kind of samples, in classes of the same names. */
import type { Dataset } from "../api/client";

const kindOf = (dataset: Dataset): string =>
  JSON.stringify([dataset.modality, dataset.classes.map((item) => item.name).sort()]);

/** The newest pool for which there is a reference set. */
export function newestUsablePool(ready: readonly Dataset[]): string | null {
  const pools = ready.filter((item) => item.role === "synthetic");
  return pools.find((item) => newestFitting(ready, "reference", item.id))?.id ?? null;
}

/** The newest set of a role that goes with a pool; the newest comes first in `ready`. */
export function newestFitting(ready: readonly Dataset[], role: Dataset["role"], poolId: string | null): string | null {
  const pool = ready.find((item) => item.id === poolId);
  const fitting = ready.find((item) => item.role === role && pool && kindOf(item) === kindOf(pool));
  return fitting?.id ?? null;
}
