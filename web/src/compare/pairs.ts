/** Which jobs can be compared: those of the same samples, best against the same reference. */
import type { Job } from "../api/client";

/** What two jobs share: pool and reference set, the pool alone, or neither. */
export type Shared = "pool and reference" | "pool" | "nothing";

export function sharedBy(first: Job, second: Job): Shared {
  if (first.synthetic_id !== second.synthetic_id) return "nothing";
  return first.reference_id === second.reference_id ? "pool and reference" : "pool";
}

/** The newest job that shares most with another one; the newest comes first in `jobs`. */
export function newestPartner(job: Job, jobs: readonly Job[]): Job | null {
  const others = jobs.filter((item) => item.id !== job.id);
  const sharing = (wanted: Shared) => others.find((item) => sharedBy(job, item) === wanted);
  return sharing("pool and reference") ?? sharing("pool") ?? others[0] ?? null;
}

/** The newest two jobs that share as much as any two do; the newest comes first in `jobs`. */
export function newestPair(jobs: readonly Job[]): [Job, Job] | null {
  for (const wanted of ["pool and reference", "pool", "nothing"] as const) {
    for (const [index, job] of jobs.entries()) {
      const partner = jobs.slice(index + 1).find((item) => sharedBy(job, item) === wanted);
      if (partner) return [job, partner];
    }
  }
  return null;
}

export interface JobGroup {
  /** Of the jobs that share pool and reference set. */
  name: string;
  jobs: Job[];
}

/** Jobs by the sets that they share, each group under a name of its own, in the order of `jobs`. */
export function groupsOf(jobs: readonly Job[], nameOf: (id: string | null) => string): JobGroup[] {
  const groups = new Map<string, JobGroup>();
  const names = new Set<string>();
  for (const job of jobs) {
    const key = `${job.synthetic_id} ${job.reference_id}`;
    let group = groups.get(key);
    if (!group) {
      const plain = describe(job, nameOf);
      let name = plain;
      // Names of sets need not be unique.
      for (let count = 2; names.has(name); count += 1) name = `${plain} (${count})`;
      names.add(name);
      group = { name, jobs: [] };
      groups.set(key, group);
    }
    group.jobs.push(job);
  }
  return [...groups.values()];
}

/** `digits against trusted digits`. */
export const describe = (job: Job, nameOf: (id: string | null) => string): string =>
  job.reference_id === null
    ? `${nameOf(job.synthetic_id)}, scored by a selector`
    : `${nameOf(job.synthetic_id)} against ${nameOf(job.reference_id)}`;
