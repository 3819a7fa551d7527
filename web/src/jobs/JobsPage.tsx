import { Anchor, Button, Group, Progress, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";

import type { Job } from "../api/client";
import { isFinal, jobsQuery } from "../api/queries";
import { Answer } from "../feedback/Answer";
import { Empty } from "../feedback/Empty";
import { moment, whole } from "../format/words";
import { usePageTitle } from "../shell/usePageTitle";
import { JobState } from "./JobState";
import { useDatasetNames } from "./useDatasetNames";

/** All jobs of the workspace, newest first. */
export function JobsPage() {
  usePageTitle("Jobs");
  const query = useQuery(jobsQuery());
  return (
    <div className="column">
      <Group justify="space-between">
        <Title order={1} size="h2">
          Jobs
        </Title>
        <Button component={Link} href="/jobs/new">
          New job
        </Button>
      </Group>
      <section className="card" aria-label="Jobs">
        <Answer query={query} lines={5}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="No jobs yet">
                A job learns a weight for every synthetic sample. Upload a synthetic and a reference
                set first.
                <br />
                <Button mt="md" component={Link} href="/datasets">
                  Upload datasets
                </Button>
              </Empty>
            ) : (
              <JobTable items={items} />
            )
          }
        </Answer>
      </section>
    </div>
  );
}

function JobTable({ items }: { items: Job[] }) {
  const nameOf = useDatasetNames();
  return (
    <Table.ScrollContainer minWidth={640} type="native" tabIndex={0} role="region" aria-label="Jobs">
      <Table verticalSpacing="sm" highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Synthetic set</Table.Th>
            <Table.Th>Method</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th ta="right">Samples</Table.Th>
            <Table.Th>Reference</Table.Th>
            <Table.Th>Created</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {items.map((job) => (
            <Table.Tr key={job.id}>
              <Table.Td>
                <Anchor component={Link} href={`/jobs/${job.id}`} fw={600} c="var(--winnow-kept-text)">
                  {nameOf(job.synthetic_id)}
                </Anchor>
                <Text size="xs" c="dimmed" className="numbers">
                  seed {job.seed}
                </Text>
              </Table.Td>
              <Table.Td>{job.method}</Table.Td>
              <Table.Td miw={130}>
                <JobState state={job.state} />
                {!isFinal(job) && (
                  <>
                    <Progress
                      value={100 * job.fraction}
                      size="sm"
                      mt={6}
                      aria-label={`Progress of ${nameOf(job.synthetic_id)}`}
                    />
                    <Text size="xs" c="dimmed">
                      {job.phase ?? (job.state === "running" ? "starting" : "waiting")}
                    </Text>
                  </>
                )}
              </Table.Td>
              <Table.Td ta="right" className="numbers">
                {job.sample_count === null ? "-" : whole(job.sample_count)}
              </Table.Td>
              <Table.Td>{nameOf(job.reference_id)}</Table.Td>
              <Table.Td>{moment(job.created_at)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
