import { Accordion, Alert, Code, NumberInput, SimpleGrid, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import { Link } from "wouter";

import type { Dataset } from "../api/client";
import { areSeveralSets, type NamedFile } from "./droppedFiles";
import { DropZone } from "./DropZone";
import { UploadRow } from "./UploadRow";
import { type Role, type Upload, type UploadOptions, useUploads } from "./useUploads";

const ROLES: Role[] = ["synthetic", "reference", "test"];
const UNFINISHED_SHOWN = 3;
const NO_OPTIONS: UploadOptions = { name: "", labelColumn: "", idColumn: "", imageSize: "" };

/** Where folders, archives and tables are dropped, each on its role, and become datasets. */
export function UploadPanel({ items }: { items: readonly Dataset[] }) {
  const [options, setOptions] = useState(NO_OPTIONS);
  const [fault, setFault] = useState<string | null>(null);
  const { uploads, arrivedName, start, stop, retry } = useUploads();
  // The newest comes first.
  const newest = (role: Role) => items.find((item) => item.role === role);

  const send = (files: NamedFile[], role: Role) => {
    if (files.length === 0) return;
    if (areSeveralSets(files)) {
      setFault("Several folders with class folders in them were dropped at once. Drop them one by one, each on its role.");
      return;
    }
    setFault(null);
    start(files, role, options);
    // What columns and images are like holds for the next set too; a name does not.
    setOptions({ ...options, name: "" });
  };

  return (
    <section className="card" aria-labelledby="upload-heading">
      <div className="card-head">
        <h2 id="upload-heading">Upload</h2>
      </div>
      <Stack gap="md">
        <Text size="sm" c="dimmed">
          A folder of images with one sub-folder for each class, or a zip or tar of one; a table (CSV,
          JSON Lines, Parquet) with a column <Code>label</Code> and one called <Code>text</Code>,{" "}
          <Code>embedding</Code>, or columns of features; an npz of embeddings. Classes are matched by
          name.
        </Text>
        <SimpleGrid cols={{ base: 1, sm: 3 }}>
          {ROLES.map((role) => (
            <DropZone key={role} role={role} newest={newest(role)} onFiles={(files) => send(files, role)} />
          ))}
        </SimpleGrid>
        {fault && (
          <Alert color="red" variant="light" role="alert">
            <Text size="sm">{fault}</Text>
          </Alert>
        )}
        {uploads.map((upload) => (
          <UploadRow
            key={upload.id}
            upload={upload}
            onStop={() => stop(upload.id)}
            onRetry={() => retry(upload.id)}
          />
        ))}
        <Unfinished items={items} uploads={uploads} />
        <Arrival name={arrivedName} isReady={newest("synthetic")?.state === "ready" && newest("reference")?.state === "ready"} />
        <Options options={options} onChange={setOptions} />
      </Stack>
    </section>
  );
}

/** Uploads that broke off, as by a reload of the page, and the way to go on with each. */
function Unfinished({ items, uploads }: { items: readonly Dataset[]; uploads: readonly Upload[] }) {
  const unfinished = items.filter(
    (item) => item.state === "created" && !uploads.some((upload) => upload.datasetId === item.id),
  );
  return unfinished.slice(0, UNFINISHED_SHOWN).map((item) => (
    <Text key={item.id} size="sm" className="arrival">
      The file of <b>{item.name}</b> has not arrived.{" "}
      <Link href={`/datasets/${item.id}`}>Go on with its upload</Link>
    </Text>
  ));
}

/** What has arrived, and the way on once a job has all that it needs. */
function Arrival({ name, isReady }: { name: string | null; isReady: boolean }) {
  return (
    <div role="status" className="arrival">
      {name !== null && `${name} has arrived. `}
      {name !== null && isReady && (
        <>
          A synthetic and a reference set are ready: <Link href="/jobs/new">go on to the job</Link>.
        </>
      )}
    </div>
  );
}

function Options(props: { options: UploadOptions; onChange: (options: UploadOptions) => void }) {
  const { options, onChange } = props;
  const field = (name: keyof UploadOptions, label: string, description: string) => (
    <TextInput
      label={label}
      description={description}
      value={options[name]}
      maxLength={200}
      onChange={(event) => onChange({ ...options, [name]: event.currentTarget.value })}
    />
  );
  return (
    <Accordion variant="contained" order={3}>
      <Accordion.Item value="options">
        <Accordion.Control>
          <Text size="sm" fw={600}>
            Options for the next upload
          </Text>
          <Text size="xs" c="dimmed">
            Its name, the columns of a table, one size for images that differ in size
          </Text>
        </Accordion.Control>
        <Accordion.Panel>
          <SimpleGrid cols={{ base: 1, sm: 2, md: 4 }} verticalSpacing="md">
            {field("name", "Name", "Else that of the folder or file.")}
            {field("labelColumn", "Label column", "Of a table, where it is not called label.")}
            {field("idColumn", "Id column", "Of a table, where it is not called id.")}
            <NumberInput
              label="Image size"
              description="Side in pixels to which images are resized."
              value={options.imageSize}
              min={8}
              max={1024}
              allowDecimal={false}
              onChange={(value) => onChange({ ...options, imageSize: String(value) })}
            />
          </SimpleGrid>
        </Accordion.Panel>
      </Accordion.Item>
    </Accordion>
  );
}
