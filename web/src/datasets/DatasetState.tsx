import { Badge } from "@mantine/core";

import type { Dataset } from "../api/client";
import { useUploads } from "./useUploads";

const COLOURS = { created: "gray", validating: "blue", ready: "teal", invalid: "red" };

export function DatasetState({ dataset }: { dataset: Pick<Dataset, "id" | "state"> }) {
  const { uploads } = useUploads();
  const { id, state } = dataset;
  const isArriving = uploads.some((upload) => upload.datasetId === id && upload.stage !== "failed");
  const words = state !== "created" ? state : isArriving ? "uploading" : "no file yet";
  return (
    <Badge color={COLOURS[state]} variant="light" c="var(--mantine-color-text)" aria-label={`State: ${words}`}>
      {words}
    </Badge>
  );
}
