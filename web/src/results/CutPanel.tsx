import { Anchor, Button, Group, Stack, Switch, Table, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { addressOf, api, dataOf, type Job, type Schemas, type Selection } from "../api/client";
import { selectionsQuery } from "../api/queries";
import { ErrorNotice } from "../feedback/ErrorNotice";
import { percent, shownScore, whole } from "../format/words";
import { type Scores, thresholdOfCount } from "./columns";
import { TrainingLines, useHasImages } from "./TrainingLines";

type Format = Schemas["ManifestFormat"];

const TABLES: Format[] = ["parquet", "csv", "jsonl", "npy", "croissant"];
const ARCHIVES: Format[] = ["imagefolder", "webdataset", "fiftyone"];

/** The current cut as a named selection, as files and as lines of code. */
export function CutPanel(props: {
  job: Job;
  scores: Scores | null;
  threshold: number;
  onThreshold: (threshold: number) => void;
}) {
  const { job, threshold } = props;
  return (
    <section className="card" aria-labelledby="use-heading">
      <div className="card-head">
        <h2 id="use-heading">Use it</h2>
      </div>
      <Stack gap="md">
        <TrainingLines job={job} threshold={threshold} />
        <SaveForm job={job} threshold={threshold} />
        <SavedCuts {...props} />
        <Downloads job={job} />
      </Stack>
    </section>
  );
}

function SaveForm({ job, threshold }: { job: Job; threshold: number }) {
  const [name, setName] = useState("");
  const [isBalanced, setIsBalanced] = useState(false);
  const queries = useQueryClient();
  const saving = useMutation({
    mutationFn: () =>
      dataOf(
        api.POST("/v1/jobs/{job_id}/selections", {
          params: { path: { job_id: job.id } },
          body: {
            name: name.trim() || `score ${shownScore(threshold)} and above`,
            rule: { kind: "threshold", threshold, balanced: isBalanced },
          },
        }),
      ),
    onSuccess: () => {
      setName("");
      void queries.invalidateQueries({ queryKey: ["selections", job.id] });
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        saving.mutate();
      }}
    >
      <Stack gap="xs">
        <TextInput
          label="Keep this cut under a name"
          description="A saved cut never changes; its files stay the same."
          placeholder={`score ${shownScore(threshold)} and above`}
          value={name}
          maxLength={200}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Group gap="md">
          <Button type="submit" size="xs" loading={saving.isPending}>
            Save cut
          </Button>
          <Switch
            size="xs"
            label="same share of every class"
            checked={isBalanced}
            onChange={(event) => setIsBalanced(event.currentTarget.checked)}
          />
        </Group>
        {saving.error && <ErrorNotice error={saving.error} />}
      </Stack>
    </form>
  );
}

function SavedCuts(props: {
  job: Job;
  scores: Scores | null;
  onThreshold: (threshold: number) => void;
}) {
  const query = useQuery(selectionsQuery(props.job.id));
  if (query.error) return <ErrorNotice error={query.error} onRetry={() => void query.refetch()} />;
  const items = query.data?.items ?? [];
  if (items.length === 0) return null;
  const show = (cut: Selection) => {
    if (cut.rule.kind === "threshold") props.onThreshold(cut.rule.threshold);
    else if (props.scores) props.onThreshold(thresholdOfCount(props.scores, cut.kept_count));
  };
  return (
    <Table verticalSpacing={6} aria-label="Saved cuts">
      <Table.Tbody>
        {items.map((cut) => (
          <Table.Tr key={cut.id}>
            <Table.Td style={{ overflowWrap: "anywhere" }}>
              <Anchor component="button" type="button" size="sm" ta="left" c="var(--winnow-kept-text)" onClick={() => show(cut)}>
                {cut.name}
              </Anchor>
              <Text size="xs" c="dimmed" className="numbers">
                {whole(cut.kept_count)} kept
                {props.job.sample_count ? `, ${percent(cut.kept_count / props.job.sample_count)}` : ""}
                {cut.rule.balanced ? ", balanced" : ""}
              </Text>
            </Table.Td>
            <Table.Td>
              <FileLinks job={props.job} path={`v1/selections/${cut.id}/manifest`} name={cut.name} />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

function FileLinks({ job, path, name }: { job: Job; path: string; name: string }) {
  const formats = useHasImages(job) ? [...TABLES, ...ARCHIVES] : TABLES;
  return (
    <Group gap="2px 8px">
      {formats.map((format) => (
        <Anchor
          key={format}
          size="xs"
          c="var(--winnow-kept-text)"
          href={addressOf(`${path}?format=${format}`)}
          download
          aria-label={`Download ${name} as ${format}`}
        >
          {format}
        </Anchor>
      ))}
    </Group>
  );
}

function Downloads({ job }: { job: Job }) {
  return (
    <div>
      <Text size="sm" fw={600}>
        All samples, with the job's suggested cut
      </Text>
      <FileLinks job={job} path={`v1/jobs/${job.id}/manifest`} name="the manifest" />
    </div>
  );
}
