import { Badge } from "@mantine/core";

import type { Job } from "../api/client";

const COLOURS = {
  queued: "gray",
  running: "blue",
  succeeded: "teal",
  failed: "red",
  cancelling: "orange",
  cancelled: "gray",
};

export function JobState({ state }: { state: Job["state"] }) {
  return (
    <Badge color={COLOURS[state]} variant="light" c="var(--mantine-color-text)" aria-label={`State: ${state}`}>
      {state}
    </Badge>
  );
}
