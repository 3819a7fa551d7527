import { Alert, Anchor, Button, Code, Group, SimpleGrid, Text, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useLocation } from "wouter";

import { api, dataOf, type Dataset } from "../api/client";
import { datasetQuery, previewsQuery } from "../api/queries";
import { Answer } from "../feedback/Answer";
import { ErrorNotice } from "../feedback/ErrorNotice";
import { Waiting } from "../feedback/Waiting";
import { bytes, moment, percent, whole } from "../format/words";
import { SampleTile } from "../results/SampleTile";
import { usePageTitle } from "../shell/usePageTitle";
import { AwaitedFile } from "./AwaitedFile";
import { DatasetState } from "./DatasetState";
import { RejectionTable } from "./RejectionTable";
import { Warnings } from "./Warnings";

const SHOWN = 24;

/** One dataset: what is in it, what was left out and why, and how its samples look. */
export function DatasetPage({ id }: { id: string }) {
  const query = useQuery(datasetQuery(id));
  usePageTitle(query.data?.name ?? "Dataset");
  return <Answer query={query}>{(dataset) => <Content dataset={dataset} />}</Answer>;
}

function Content({ dataset }: { dataset: Dataset }) {
  return (
    <div className="column">
      <Group gap="sm">
        <Title order={1} size="h2">
          {dataset.name}
        </Title>
        <DatasetState dataset={dataset} />
        <DeleteButton dataset={dataset} />
      </Group>
      <Warnings warnings={dataset.warnings} />
      <div className="split">
        <div className="column">
          {dataset.state === "validating" && (
            <div className="card">
              <Text size="sm" mb="sm">
                Checking every row; this page follows along.
              </Text>
              <Waiting lines={2} />
            </div>
          )}
          {dataset.state === "created" && <AwaitedFile dataset={dataset} />}
          {dataset.failure && <FailureNotice failure={dataset.failure} />}
          {dataset.state === "ready" && <Samples dataset={dataset} />}
          {dataset.rejected_count > 0 && <RejectionTable dataset={dataset} />}
        </div>
        <div className="column">
          <Facts dataset={dataset} />
          {dataset.classes.length > 0 && <Classes dataset={dataset} />}
        </div>
      </div>
    </div>
  );
}

/** Options of the upload, by the field that a failure names. */
const OPTIONS: Record<string, string> = {
  label_column: "Label column",
  id_column: "Id column",
  image_size: "Image size",
};

function FailureNotice({ failure }: { failure: NonNullable<Dataset["failure"]> }) {
  return (
    <Alert color="red" variant="light" title="This dataset cannot be used" role="alert">
      <Text size="sm" c="var(--mantine-color-text)">
        {failure.detail}
      </Text>
      {failure.cure && (
        <Text size="sm" mt={4} c="var(--mantine-color-text)">
          {failure.cure}
        </Text>
      )}
      {failure.field && failure.field in OPTIONS && (
        <Text size="sm" mt={4} c="var(--mantine-color-text)">
          Upload it again <Link href="/datasets">under Datasets</Link>, with “{OPTIONS[failure.field]}”
          filled in among the options for the next upload.
        </Text>
      )}
      <Text size="xs" mt={6} c="dimmed">
        <Code>{failure.reason}</Code>
        {failure.field && ` in ${failure.field}`}
        {failure.row !== null && `, row ${failure.row}`}
      </Text>
    </Alert>
  );
}

function Facts({ dataset }: { dataset: Dataset }) {
  const facts: [string, string][] = [
    ["Role", dataset.role],
    ["Kind", dataset.modality ?? "not known yet"],
    ["Samples", dataset.sample_count === null ? "-" : whole(dataset.sample_count)],
    ["Left out", whole(dataset.rejected_count)],
    ["Shape", dataset.input_shape?.join(" × ") ?? "-"],
    ...(dataset.feature_columns.length > 0
      ? [["Learned from", dataset.feature_columns.map(({ name, kind }) => `${name} (${kind})`).join(", ")] as [string, string]]
      : []),
    ["File", dataset.content?.file_name ?? "-"],
    ["Size", dataset.content ? bytes(dataset.content.size_bytes) : "-"],
    ["Created", moment(dataset.created_at)],
  ];
  return (
    <section className="card" aria-labelledby="facts-heading">
      <div className="card-head">
        <h2 id="facts-heading">Facts</h2>
      </div>
      <SimpleGrid cols={2} spacing="xs" verticalSpacing={8} component="dl" m={0}>
        {facts.map(([name, value]) => (
          <div key={name}>
            <Text component="dt" size="xs" c="dimmed">
              {name}
            </Text>
            <Text component="dd" size="sm" m={0} style={{ overflowWrap: "anywhere" }}>
              {value}
            </Text>
          </div>
        ))}
      </SimpleGrid>
    </section>
  );
}

function Classes({ dataset }: { dataset: Dataset }) {
  const most = Math.max(...dataset.classes.map((item) => item.count));
  return (
    <section className="card" aria-labelledby="classes-heading">
      <div className="card-head">
        <h2 id="classes-heading">Classes</h2>
      </div>
      <dl className="bars" tabIndex={0} aria-label="Samples by class">
        {dataset.classes.map((item) => (
          <Row key={item.name} name={item.name} count={item.count} share={item.count / most} />
        ))}
      </dl>
    </section>
  );
}

function Row({ name, count, share }: { name: string; count: number; share: number }) {
  return (
    <>
      <dt title={name}>{name}</dt>
      <dd className="track" aria-hidden style={{ background: "transparent" }}>
        <span style={{ transform: `scaleX(${share})` }} />
      </dd>
      <dd title={percent(share)}>{whole(count)}</dd>
    </>
  );
}

function Samples({ dataset }: { dataset: Dataset }) {
  const count = dataset.sample_count ?? 0;
  const shown = Math.min(SHOWN, count);
  const stride = count / shown;
  // Not at one distance, which would show one class alone where they alternate.
  const positions = Array.from(
    { length: shown },
    (_, index) => Math.floor(index * stride) + (index % Math.floor(stride)),
  );
  const query = useQuery(previewsQuery(dataset.id, positions));
  const isWide = dataset.modality !== "image";
  return (
    <section className="card" aria-labelledby="samples-heading">
      <div className="card-head">
        <h2 id="samples-heading">Some of its samples</h2>
      </div>
      <Answer query={query} lines={4}>
        {({ items }) => (
          <ul className={isWide ? "tiles wide" : "tiles"}>
            {items.map((sample) => (
              <li key={sample.position}>
                <SampleTile datasetId={dataset.id} sample={sample} caption={sample.class_name} />
              </li>
            ))}
          </ul>
        )}
      </Answer>
    </section>
  );
}

function DeleteButton({ dataset }: { dataset: Dataset }) {
  const [, navigate] = useLocation();
  const queries = useQueryClient();
  const removal = useMutation({
    mutationFn: () =>
      dataOf(api.DELETE("/v1/datasets/{dataset_id}", { params: { path: { dataset_id: dataset.id } } })),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ["datasets"] });
      navigate("/datasets");
    },
  });
  return (
    <Group ml="auto" gap="sm">
      <Anchor component={Link} href="/datasets" size="sm" c="dimmed">
        All datasets
      </Anchor>
      <Button
        size="xs"
        variant="default"
        loading={removal.isPending}
        onClick={() => {
          if (window.confirm(`Delete "${dataset.name}" for good?`)) removal.mutate();
        }}
      >
        Delete
      </Button>
      {removal.error && <ErrorNotice error={removal.error} />}
    </Group>
  );
}
