import { Button, FileButton, Group, Text } from "@mantine/core";
import { useRef, useState } from "react";
import { Link } from "wouter";

import type { Dataset } from "../api/client";
import { DatasetState } from "./DatasetState";
import { filesOfDrop, filesOfPicker, type NamedFile } from "./droppedFiles";
import type { Role } from "./useUploads";

const TITLES: Record<Role, string> = {
  synthetic: "Synthetic set",
  reference: "Reference set",
  test: "Test set, optional",
};
const MEANINGS: Record<Role, string> = {
  synthetic: "The generated samples that are to be weighed.",
  reference: "A few real samples of each class that you trust.",
  test: "More real samples, to measure accuracy before and after.",
};

/** Where the files of one role are dropped or chosen, and the newest set of that role. */
export function DropZone(props: {
  role: Role;
  newest: Dataset | undefined;
  onFiles: (files: NamedFile[]) => void;
}) {
  const { role, newest, onFiles } = props;
  const [isOver, setIsOver] = useState(false);
  const folderInput = useRef<HTMLInputElement>(null);
  return (
    <div
      className="drop"
      role="group"
      aria-label={TITLES[role]}
      data-over={isOver}
      onDragOver={(event) => {
        event.preventDefault();
        setIsOver(true);
      }}
      onDragLeave={() => setIsOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setIsOver(false);
        void filesOfDrop(event.dataTransfer.items).then(onFiles);
      }}
    >
      <Text fw={600}>{TITLES[role]}</Text>
      <Text size="sm" c="dimmed">
        {MEANINGS[role]}
      </Text>
      <Text size="sm" mt="auto" pt="md" mb="xs">
        Drop a folder or file here, or
      </Text>
      <Group justify="center" gap="xs">
        <Button size="xs" variant="default" onClick={() => folderInput.current?.click()}>
          Choose a folder
        </Button>
        <FileButton
          onChange={(file) => file && onFiles([{ path: file.name, file }])}
          accept=".zip,.tar,.gz,.tgz,.parquet,.csv,.jsonl,.npz"
          inputProps={{ "aria-label": `File of the ${role} set` }}
        >
          {(button) => (
            <Button {...button} size="xs" variant="default">
              Choose a file
            </Button>
          )}
        </FileButton>
        <input
          ref={folderInput}
          type="file"
          hidden
          aria-label={`Folder of the ${role} set`}
          {...{ webkitdirectory: "" }}
          onChange={(event) => {
            if (event.currentTarget.files) onFiles(filesOfPicker(event.currentTarget.files));
            event.currentTarget.value = "";
          }}
        />
      </Group>
      <div className="newest">
        {newest && (
          <>
            <Link href={`/datasets/${newest.id}`}>{newest.name}</Link> <DatasetState state={newest.state} />
          </>
        )}
      </div>
    </div>
  );
}
