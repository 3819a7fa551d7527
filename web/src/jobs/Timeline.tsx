import { Text } from "@mantine/core";

import type { JobEvent } from "../api/client";
import { clock, whole } from "../format/words";

/** What happened to a job, oldest first. */
export function Timeline({ events }: { events: JobEvent[] }) {
  if (events.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        Nothing has happened yet.
      </Text>
    );
  }
  return (
    <ol className="timeline" aria-label="Timeline">
      {lasting(events).map((event) => (
        <li key={event.id}>
          <time dateTime={event.at}>{clock(event.at)}</time>
          <span className="dot" aria-hidden />
          <span>{sentence(event)}</span>
        </li>
      ))}
    </ol>
  );
}

/** What a job does in each phase. */
const TASKS: Record<string, string> = {
  load: "load the samples",
  encode: "encode the samples",
  features: "compute features",
  train: "train",
  evaluate: "measure accuracy before and after",
  score: "score the pool",
  distil: "distil the selector",
  write: "write the results",
};

/** Without checkpoints that later ones of the same phase have replaced. */
const lasting = (events: readonly JobEvent[]): JobEvent[] =>
  events.filter(({ kind, data }, index) => {
    const next = events[index + 1];
    return !(kind === "checkpoint" && next?.kind === "checkpoint" && next.data.phase === data.phase);
  });

function sentence({ kind, data }: JobEvent): string {
  switch (kind) {
    case "created":
      return "Queued";
    case "claimed":
      return `A worker took it (attempt ${data.attempt})`;
    case "phase":
      return `Began to ${TASKS[String(data.phase)] ?? data.phase}`;
    case "checkpoint":
      return `Saved a checkpoint (${data.phase}, step ${whole(Number(data.step))})`;
    case "released":
      return "Given back to the queue";
    case "succeeded":
      return "Succeeded";
    default: {
      const details = Object.entries(data).map(([name, value]) => `${name} ${value}`);
      const words = kind.replaceAll("_", " ");
      return [words.charAt(0).toUpperCase() + words.slice(1), ...details].join(", ");
    }
  }
}
