import { Select, SimpleGrid, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import type { Job } from "../api/client";
import { histogramQuery, jobsQuery, reportQuery, scoresQuery } from "../api/queries";
import { Answer } from "../feedback/Answer";
import { Empty } from "../feedback/Empty";
import { ErrorNotice } from "../feedback/ErrorNotice";
import { Notice } from "../feedback/Notice";
import { Waiting } from "../feedback/Waiting";
import { moment, percent, spelled, whole } from "../format/words";
import { useDatasetNames } from "../jobs/useDatasetNames";
import { type Report, referenceMark, reportOf, rowOf } from "../results/report";
import { usePageTitle } from "../shell/usePageTitle";
import { Agreement } from "./Agreement";
import { describe, groupsOf, newestPair, newestPartner, sharedBy } from "./pairs";
import { TwoHistograms } from "./TwoHistograms";

const BINS = 60;

/** Two jobs side by side: settings that differ, scores, accuracy, and where they disagree. */
export function ComparePage() {
  usePageTitle("Compare");
  const query = useQuery(jobsQuery());
  return (
    <div className="column">
      <Title order={1} size="h2">
        Compare two jobs
      </Title>
      <Answer query={query}>
        {({ items }) => {
          const finished = items.filter((job) => job.state === "succeeded");
          return finished.length < 2 ? (
            <div className="card">
              <Empty title="Two finished jobs are needed">
                Run the same data with another method, seed or setting, and compare what they keep.
              </Empty>
            </div>
          ) : (
            <Comparison jobs={finished} />
          );
        }}
      </Answer>
    </div>
  );
}

function Comparison({ jobs }: { jobs: Job[] }) {
  const [ids, setIds] = useState(() => startingIds(jobs));
  const choose = (side: "a" | "b", id: string | null) => {
    if (!id) return;
    const next = { ...ids, [side]: id };
    setIds(next);
    window.history.replaceState(null, "", `?${new URLSearchParams(next)}`);
  };
  const first = jobs.find((job) => job.id === ids.a);
  const second = jobs.find((job) => job.id === ids.b);
  return (
    <>
      <SimpleGrid cols={{ base: 1, sm: 2 }} className="card">
        <JobSelect label="First job" jobs={jobs} value={ids.a} onChange={(id) => choose("a", id)} />
        <JobSelect
          label="Second job"
          jobs={jobs}
          value={ids.b}
          likeness={first}
          onChange={(id) => choose("b", id)}
        />
      </SimpleGrid>
      {first && second && (
        <>
          <DataNotice first={first} second={second} />
          <Reports first={first} second={second} />
          <Scores first={first} second={second} />
          <Differences first={first} second={second} />
        </>
      )}
    </>
  );
}

function startingIds(jobs: Job[]): { a: string; b: string } {
  const query = new URLSearchParams(window.location.search);
  const known = (id: string | null) => (jobs.some((job) => job.id === id) ? id : null);
  const [a, b] = [known(query.get("a")), known(query.get("b"))];
  if (!a && !b) {
    const pair = newestPair(jobs);
    return { a: pair?.[0].id ?? "", b: pair?.[1].id ?? "" };
  }
  const partnerOf = (id: string | null) => {
    const job = jobs.find((item) => item.id === id);
    return job && newestPartner(job, jobs)?.id;
  };
  return { a: a ?? partnerOf(b) ?? "", b: b ?? partnerOf(a) ?? "" };
}

function JobSelect(props: {
  label: string;
  jobs: Job[];
  value: string;
  /** The jobs on the same data as this one come first. */
  likeness?: Job;
  onChange: (id: string | null) => void;
}) {
  const nameOf = useDatasetNames();
  const { likeness } = props;
  const isLike = (job: Job | undefined) =>
    likeness !== undefined && job !== undefined && sharedBy(likeness, job) === "pool and reference";
  const groups = groupsOf(props.jobs, nameOf)
    .map(({ name, jobs }) => ({ name, jobs, isLike: isLike(jobs[0]) }))
    .sort((left, right) => Number(right.isLike) - Number(left.isLike));
  return (
    <Select
      label={props.label}
      value={props.value}
      allowDeselect={false}
      onChange={props.onChange}
      data={groups.map((group) => ({
        group: group.isLike ? `Same data as the first job: ${group.name}` : group.name,
        items: group.jobs.map((job) => ({
          value: job.id,
          label: `${nameOf(job.synthetic_id)}, ${job.method}, seed ${job.seed}, ${moment(job.created_at)}`,
        })),
      }))}
    />
  );
}

/** That two jobs are of different data, where they are. */
function DataNotice({ first, second }: { first: Job; second: Job }) {
  const nameOf = useDatasetNames();
  const shared = sharedBy(first, second);
  if (first.id === second.id) {
    return <Notice title="This is the same job twice">Choose another one beside it.</Notice>;
  }
  if (shared === "nothing") {
    return (
      <Notice title="These jobs weigh different data">
        The first weighs {describe(first, nameOf)}, the second {describe(second, nameOf)}. What
        differs below may come from the data alone.
      </Notice>
    );
  }
  if (shared === "pool") {
    return (
      <Notice title="These jobs trust different reference sets">
        Both weigh {nameOf(first.synthetic_id)}, the first against {nameOf(first.reference_id)}, the
        second against {nameOf(second.reference_id)}.
      </Notice>
    );
  }
  if (first.test_id !== second.test_id) {
    const measured = (job: Job) =>
      job.test_id === null ? "on the reference set, by cross-validation" : `on ${nameOf(job.test_id)}`;
    return (
      <Notice title="Their accuracy is measured on different samples">
        That of the first {measured(first)}, that of the second {measured(second)}. Scores compare
        all the same.
      </Notice>
    );
  }
  return null;
}

function Reports({ first, second }: { first: Job; second: Job }) {
  const left = useQuery(reportQuery(first.id));
  const right = useQuery(reportQuery(second.id));
  return (
    <section className="card" aria-labelledby="accuracy-heading">
      <div className="card-head">
        <h2 id="accuracy-heading">Accuracy</h2>
      </div>
      <Answer query={left}>
        {(one) => (
          <Answer query={right}>
            {(two) => <ReportColumns reports={[reportOf(one), reportOf(two)]} />}
          </Answer>
        )}
      </Answer>
    </section>
  );
}

function ReportColumns({ reports }: { reports: [Report, Report] }) {
  const methods = [...new Set(reports.flatMap((report) => report.rows.map((row) => row.method)))];
  if (methods.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        Neither job has measured accuracy.
      </Text>
    );
  }
  return (
    <Table.ScrollContainer minWidth={480} type="native" tabIndex={0} role="region" aria-label="Accuracy of both jobs">
      <Table verticalSpacing={6}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Trained on</Table.Th>
            <Table.Th>First job</Table.Th>
            <Table.Th>Second job</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {methods.map((method) => (
            <Table.Tr key={method}>
              <Table.Td>{spelled(method)}</Table.Td>
              {reports.map((report, side) => {
                const row = rowOf(report.rows, method);
                const mark = row && referenceMark(row, report.rows);
                return (
                  <Table.Td key={side} className="numbers">
                    {row ? (
                      <>
                        <b>{percent(row.accuracy_mean)}</b>{" "}
                        <Text span size="xs" c="dimmed">
                          {percent(row.accuracy_ci95[0])} to {percent(row.accuracy_ci95[1])}
                          {mark && `, ${mark}`}
                        </Text>
                      </>
                    ) : (
                      "-"
                    )}
                  </Table.Td>
                );
              })}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Scores({ first, second }: { first: Job; second: Job }) {
  const left = useQuery(histogramQuery(first.id, BINS));
  const right = useQuery(histogramQuery(second.id, BINS));
  const one = useQuery(scoresQuery(first.id));
  const two = useQuery(scoresQuery(second.id));
  const error = left.error ?? right.error ?? one.error ?? two.error;
  if (error) return <ErrorNotice error={error} />;
  return (
    <section className="card" aria-labelledby="scores-heading">
      <div className="card-head">
        <h2 id="scores-heading">Scores</h2>
      </div>
      {left.data && right.data ? (
        <TwoHistograms first={left.data.counts} second={right.data.counts} />
      ) : (
        <Waiting />
      )}
      {first.synthetic_id !== second.synthetic_id ? (
        <Text size="sm" c="dimmed" mt="sm">
          The jobs weigh different sets, so their samples are not compared one by one.
        </Text>
      ) : (
        one.data && two.data && <Agreement job={first} first={one.data} second={two.data} />
      )}
    </section>
  );
}

function Differences({ first, second }: { first: Job; second: Job }) {
  const facts = (job: Job): Record<string, unknown> => ({
    method: job.method,
    seed: job.seed,
    samples: job.sample_count === null ? "-" : whole(job.sample_count),
    ...job.config,
  });
  const [one, two] = [facts(first), facts(second)];
  const names = [...new Set([...Object.keys(one), ...Object.keys(two)])].filter(
    (name) => JSON.stringify(one[name]) !== JSON.stringify(two[name]),
  );
  return (
    <section className="card" aria-labelledby="settings-heading">
      <div className="card-head">
        <h2 id="settings-heading">Settings that differ</h2>
      </div>
      {names.length === 0 ? (
        <Text size="sm" c="dimmed">
          None.
        </Text>
      ) : (
        <Table verticalSpacing={6}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Setting</Table.Th>
              <Table.Th>First job</Table.Th>
              <Table.Th>Second job</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {names.map((name) => (
              <Table.Tr key={name}>
                <Table.Td>{spelled(name)}</Table.Td>
                <Table.Td style={{ overflowWrap: "anywhere" }}>{shown(one[name])}</Table.Td>
                <Table.Td style={{ overflowWrap: "anywhere" }}>{shown(two[name])}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </section>
  );
}

const shown = (value: unknown): string =>
  value === undefined ? "-" : typeof value === "string" ? value : JSON.stringify(value);
