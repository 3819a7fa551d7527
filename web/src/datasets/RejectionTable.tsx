import { Button, Code, Table, Text } from "@mantine/core";

import type { Dataset } from "../api/client";
import { useRejections } from "../api/queries";
import { ErrorNotice } from "../feedback/ErrorNotice";
import { Waiting } from "../feedback/Waiting";
import { leftOut } from "../format/words";

/** Every row that was left out, with its reason, a page at a time. */
export function RejectionTable({ dataset }: { dataset: Dataset }) {
  const query = useRejections(dataset.id);
  const rows = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <section className="card" aria-labelledby="rejections-heading">
      <div className="card-head">
        <h2 id="rejections-heading">{leftOut(dataset)}</h2>
      </div>
      {query.isPending && <Waiting />}
      {query.error && <ErrorNotice error={query.error} onRetry={() => void query.refetch()} />}
      {rows.length > 0 && (
        <Table.ScrollContainer
          minWidth={480}
          type="native" tabIndex={0} role="region" aria-label="Rows left out"
        >
          <Table verticalSpacing="xs">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Row</Table.Th>
                <Table.Th>Sample</Table.Th>
                <Table.Th>Field</Table.Th>
                <Table.Th>Why</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {rows.map((row) => (
                <Table.Tr key={row.ordinal}>
                  <Table.Td className="numbers">{row.row ?? "-"}</Table.Td>
                  <Table.Td style={{ overflowWrap: "anywhere" }}>{row.name ?? "-"}</Table.Td>
                  <Table.Td>{row.field ?? "-"}</Table.Td>
                  <Table.Td>
                    <Text size="sm">{row.detail}</Text>
                    <Code>{row.reason}</Code>
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      {query.hasNextPage && (
        <Button
          mt="sm"
          size="xs"
          variant="default"
          loading={query.isFetchingNextPage}
          onClick={() => void query.fetchNextPage()}
        >
          Show more
        </Button>
      )}
    </section>
  );
}
