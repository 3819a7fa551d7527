import { Badge } from "@mantine/core";

import type { Dataset } from "../api/client";

const COLOURS = { created: "gray", validating: "blue", ready: "teal", invalid: "red" };

export function DatasetState({ state }: { state: Dataset["state"] }) {
  const words = state === "created" ? "no file yet" : state;
  return (
    <Badge color={COLOURS[state]} variant="light" c="var(--mantine-color-text)" aria-label={`State: ${words}`}>
      {words}
    </Badge>
  );
}
