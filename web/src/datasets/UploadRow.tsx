import { Button, Group, Progress, Text } from "@mantine/core";

import { DifferentFileError } from "../api/upload";
import { ErrorNotice } from "../feedback/ErrorNotice";
import { bytes, counted } from "../format/words";
import type { Upload } from "./useUploads";

const WORDS = { waiting: "Waits for the one before it", packing: "Packing", sending: "Sending" };

/** One upload: what it is, how far it is, and a way to stop it or to try it again. */
export function UploadRow(props: { upload: Upload; onStop: () => void; onRetry: () => void }) {
  const { upload, onStop, onRetry } = props;
  if (upload.stage === "failed") {
    return (
      <div>
        <Text size="sm" mb={4}>
          {upload.name}, {upload.role}
        </Text>
        {upload.error && (
          // The same file would be refused again.
          <ErrorNotice
            error={upload.error}
            onRetry={upload.error instanceof DifferentFileError ? undefined : onRetry}
          />
        )}
      </div>
    );
  }
  const what = [
    WORDS[upload.stage],
    upload.fileCount > 1 && counted(upload.fileCount, "file"),
    upload.sizeBytes > 0 && bytes(upload.sizeBytes),
  ];
  return (
    <div role="group" aria-label={`Upload of ${upload.name}`}>
      <Group justify="space-between" gap="xs">
        <Text size="sm">
          <b>{upload.name}</b>, {upload.role}: {what.filter(Boolean).join(", ")}
        </Text>
        <Group gap="xs">
          <Text size="sm" className="numbers">
            {Math.floor(100 * upload.fraction)} %
          </Text>
          <Button size="compact-xs" variant="default" onClick={onStop}>
            Stop
          </Button>
        </Group>
      </Group>
      <Progress value={100 * upload.fraction} aria-label={`Progress of ${upload.name}`} mt={4} />
    </div>
  );
}
