import { Text } from "@mantine/core";

import type { JobEvent } from "../api/client";
import { clock } from "../format/words";

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
      {events.map((event) => (
        <li key={event.id}>
          <time dateTime={event.at}>{clock(event.at)}</time>
          <span className="dot" aria-hidden />
          <span>{sentence(event)}</span>
        </li>
      ))}
    </ol>
  );
}

function sentence({ kind, data }: JobEvent): string {
  switch (kind) {
    case "created":
      return "Queued";
    case "claimed":
      return `A worker took it (attempt ${data.attempt})`;
    case "phase":
      return `Began to ${data.phase}`;
    case "checkpoint":
      return `Saved a checkpoint in ${data.phase}, step ${data.step}`;
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
