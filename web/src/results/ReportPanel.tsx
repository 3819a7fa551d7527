import { Badge, Stack, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import type { Job } from "../api/client";
import { reportQuery } from "../api/queries";
import { Answer } from "../feedback/Answer";
import { Notice } from "../feedback/Notice";
import { counted, percent, spelled, whole } from "../format/words";
import {
  type Report,
  type ReportRow,
  referenceMark,
  referenceWeight,
  reportOf,
  rowOf,
  usualReferenceWeight,
} from "./report";

type Shown = Pick<Report, "rows" | "recommendation" | "measuredOn">;

/** Accuracy of the same classifier before and after, by method, with intervals. */
export function ReportPanel({ job }: { job: Job }) {
  const query = useQuery(reportQuery(job.id));
  return (
    <section className="card" aria-labelledby="report-heading">
      <div className="card-head">
        <h2 id="report-heading">Before and after</h2>
      </div>
      <Answer query={query}>
        {(raw) => {
          const report = reportOf(raw);
          return (
            <Stack gap="sm">
              {report.labelsAreTurned && <TurnedLabels />}
              {report.rows.length > 0 ? (
                <ReportTable {...report} />
              ) : (
                <Text size="sm" c="dimmed">
                  This job did not measure accuracy; the setting "evaluate" asks for it.
                </Text>
              )}
            </Stack>
          );
        }}
      </Answer>
    </section>
  );
}

function TurnedLabels() {
  return (
    <Notice title="Most labels of the pool seem to name the other class">
      The reference set is explained better by the opposite of what the pool says. The weights allow
      for that; look at where the labels come from.
    </Notice>
  );
}

export function ReportTable(props: Shown) {
  const lows = props.rows.map((row) => row.accuracy_ci95[0]);
  const highs = props.rows.map((row) => row.accuracy_ci95[1]);
  const from = Math.max(0, Math.min(...lows) - 0.02);
  const to = Math.min(1, Math.max(...highs) + 0.02);
  const place = (value: number) => `${(100 * (value - from)) / (to - from)}%`;
  return (
    <>
      <Text size="sm" mb="sm">
        {verdict(props)}
      </Text>
      <Table.ScrollContainer
        minWidth={560}
        type="native" tabIndex={0} role="region" aria-label="Accuracy before and after"
      >
        <Table verticalSpacing={6}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Trained on</Table.Th>
              <Table.Th ta="right">Accuracy</Table.Th>
              <Table.Th>95 % interval</Table.Th>
              <Table.Th w="30%" aria-hidden />
              <Table.Th ta="right">Kept</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {props.rows.map((row) => (
              <Table.Tr key={row.method}>
                <Table.Td>
                  {spelled(row.method)}{" "}
                  {row.method === props.recommendation && (
                    <Badge size="sm" variant="light" color="teal" c="var(--mantine-color-text)">
                      recommended
                    </Badge>
                  )}
                  {referenceMark(row, props.rows) && (
                    <Text size="xs" c="dimmed">
                      {referenceMark(row, props.rows)}
                    </Text>
                  )}
                </Table.Td>
                <Table.Td ta="right" className="numbers" fw={row.method === props.recommendation ? 700 : 400}>
                  {percent(row.accuracy_mean)}
                </Table.Td>
                <Table.Td className="numbers">
                  {percent(row.accuracy_ci95[0])} to {percent(row.accuracy_ci95[1])}
                </Table.Td>
                <Table.Td aria-hidden>
                  <div className="interval">
                    <span
                      className="range"
                      style={{
                        left: place(row.accuracy_ci95[0]),
                        right: `calc(100% - ${place(row.accuracy_ci95[1])})`,
                      }}
                    />
                    <span className="mean" style={{ left: place(row.accuracy_mean) }} />
                  </div>
                </Table.Td>
                <Table.Td ta="right" className="numbers">
                  {whole(row.kept)}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Text size="xs" c="dimmed" mt="xs">
        The same classifier each time, trained on what the method leaves of the pool together with
        the reference set: weighted rows use every sample by its weight, selected ones the suggested
        cut alone. {referenceNote(props.rows)} {counted(props.rows[0]?.seeds ?? 0, "paired seed")}
        {props.measuredOn ? `, measured on the ${props.measuredOn}` : ""}.
      </Text>
    </>
  );
}

function referenceNote(rows: ReportRow[]): string {
  const usual = usualReferenceWeight(rows);
  const much = usual === "1" ? "as much" : `${usual} times as much`;
  const rest = rows.some((row) => referenceMark(row, rows))
    ? ", or as many times as much as stands beside the row"
    : "";
  return `A reference sample counts ${much} as the mean sample of the pool${rest}.`;
}

function verdict({ rows, recommendation }: Shown): string {
  const before = rowOf(rows, "no_selection");
  const after = rowOf(rows, recommendation);
  if (!before || !after || before === after) {
    return "On this data curation did not beat training on everything.";
  }
  const gain = after.accuracy_mean - before.accuracy_mean;
  const reached = `reaches ${percent(after.accuracy_mean)}, against ${percent(before.accuracy_mean)} on everything`;
  const points = `(${gain >= 0 ? "+" : ""}${(100 * gain).toFixed(1)} points)`;
  if (after.method === "no_selection_upweighted") {
    return `Training on everything with each reference sample counted ${referenceWeight(after)} times ${reached} alike ${points}; no selection measurably beat that.`;
  }
  // What counting the reference set more brings by itself is no merit of the selection.
  const control = rowOf(rows, "no_selection_upweighted");
  const counted =
    control && referenceWeight(after) !== referenceWeight(before)
      ? ` Counting the reference set more brings ${percent(control.accuracy_mean)} without a selection.`
      : "";
  return `${spelled(after.method)} ${reached} ${points}.${counted}`;
}
