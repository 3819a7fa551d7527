import { Anchor, Badge, Button, Group, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";

import type { Dataset } from "../api/client";
import { datasetsQuery } from "../api/queries";
import { Answer } from "../feedback/Answer";
import { Empty } from "../feedback/Empty";
import { leftOut, moment, whole } from "../format/words";
import { usePageTitle } from "../shell/usePageTitle";
import { DatasetState } from "./DatasetState";
import { UploadPanel } from "./UploadPanel";

/** All datasets of the workspace, and the place where new ones are dropped. */
export function DatasetsPage() {
  usePageTitle("Datasets");
  const query = useQuery(datasetsQuery());
  const isReadyForJob = ["synthetic", "reference"].every((role) =>
    query.data?.items.some((item) => item.role === role && item.state === "ready"),
  );
  return (
    <div className="column">
      <Group justify="space-between">
        <Title order={1} size="h2">
          Datasets
        </Title>
        <Button component={Link} href="/jobs/new" variant={isReadyForJob ? "filled" : "default"}>
          New job
        </Button>
      </Group>
      <UploadPanel items={query.data?.items ?? []} />
      <section className="card" aria-labelledby="datasets-heading">
        <div className="card-head">
          <h2 id="datasets-heading">In this workspace</h2>
        </div>
        <Answer query={query}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="No datasets yet">
                Drop your synthetic samples above, then a small reference set of real ones that you
                trust. With both in place you can start a job.
              </Empty>
            ) : (
              <DatasetTable items={items} />
            )
          }
        </Answer>
      </section>
    </div>
  );
}

function DatasetTable({ items }: { items: Dataset[] }) {
  return (
    <Table.ScrollContainer minWidth={640} type="native" tabIndex={0} role="region" aria-label="Datasets">
      <Table verticalSpacing="sm" highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Name</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th>Role</Table.Th>
            <Table.Th>Kind</Table.Th>
            <Table.Th ta="right">Samples</Table.Th>
            <Table.Th ta="right">Classes</Table.Th>
            <Table.Th>Created</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {items.map((item) => (
            <Table.Tr key={item.id}>
              <Table.Td>
                <Anchor component={Link} href={`/datasets/${item.id}`} fw={600} c="var(--winnow-kept-text)">
                  {item.name}
                </Anchor>
              </Table.Td>
              <Table.Td>
                <DatasetState dataset={item} />
                {item.failure && (
                  <Text size="xs" c="dimmed" miw={200} maw={320} style={{ overflowWrap: "anywhere" }}>
                    {item.failure.detail}
                  </Text>
                )}
                {item.warnings.map((warning) => (
                  <Text key={warning.detail} size="xs" c="var(--winnow-dropped-text)" miw={200} maw={320} style={{ overflowWrap: "anywhere" }}>
                    {warning.detail}
                  </Text>
                ))}
                {item.rejected_count > 0 && (
                  <Text size="xs" c="var(--winnow-dropped-text)">
                    {leftOut(item)}
                  </Text>
                )}
              </Table.Td>
              <Table.Td>
                <Badge variant="default">{item.role}</Badge>
              </Table.Td>
              <Table.Td>{item.modality ?? "-"}</Table.Td>
              <Table.Td ta="right" className="numbers">
                {item.sample_count === null ? "-" : whole(item.sample_count)}
              </Table.Td>
              <Table.Td ta="right" className="numbers">
                {item.classes.length || "-"}
              </Table.Td>
              <Table.Td>{moment(item.created_at)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
