import { Button, FileButton, Group, Text } from "@mantine/core";
import { type ReactNode, useRef, useState } from "react";

import { filesOfDrop, filesOfPicker, type NamedFile } from "./droppedFiles";

/** Where a folder or file is dropped or chosen. */
export function DropPlace(props: {
  title: string;
  meaning: ReactNode;
  /** Whose file and folder the hidden inputs say they take. */
  subject: string;
  onFiles: (files: NamedFile[]) => void;
  children?: ReactNode;
}) {
  const { title, meaning, subject, onFiles } = props;
  const [isOver, setIsOver] = useState(false);
  const folderInput = useRef<HTMLInputElement>(null);
  return (
    <div
      className="drop"
      role="group"
      aria-label={title}
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
      <Text fw={600}>{title}</Text>
      <Text size="sm" c="dimmed">
        {meaning}
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
          inputProps={{ "aria-label": `File of ${subject}` }}
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
          aria-label={`Folder of ${subject}`}
          {...{ webkitdirectory: "" }}
          onChange={(event) => {
            if (event.currentTarget.files) onFiles(filesOfPicker(event.currentTarget.files));
            event.currentTarget.value = "";
          }}
        />
      </Group>
      {props.children}
    </div>
  );
}
