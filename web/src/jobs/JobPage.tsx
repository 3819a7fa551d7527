import { Accordion, Alert, Anchor, Button, Code, Group, Text, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useLocation } from "wouter";

import { api, dataOf, type Job } from "../api/client";
import { isFinal, jobQuery } from "../api/queries";
import { Answer } from "../feedback/Answer";
import { ErrorNotice } from "../feedback/ErrorNotice";
import { duration, moment } from "../format/words";
import { ResultsView } from "../results/ResultsView";
import { usePageTitle } from "../shell/usePageTitle";
import { JobProgress } from "./JobProgress";
import { JobState } from "./JobState";
import { Timeline } from "./Timeline";
import { useDatasetNames } from "./useDatasetNames";
import { useJobStream } from "./useJobStream";

/** One job: live while it runs, its results once it has succeeded. */
export function JobPage({ id }: { id: string }) {
  const query = useQuery(jobQuery(id));
  return (
    <Answer query={query} lines={6}>
      {(job) => <Content job={job} />}
    </Answer>
  );
}

function Content({ job }: { job: Job }) {
  const nameOf = useDatasetNames();
  const [round, setRound] = useState(0);
  const stream = useJobStream(job.id, round);
  const title = nameOf(job.synthetic_id);
  usePageTitle(title);
  const history = (
    <>
      <Timeline events={stream.events} />
      {stream.isBroken && !isFinal(job) && (
        <Text size="sm" mt="sm" c="var(--winnow-dropped-text)" role="status">
          The live connection is lost; trying again.
        </Text>
      )}
    </>
  );
  return (
    <div className="column">
      <Group gap="sm" align="center">
        <div>
          <Group gap="sm">
            <Title order={1} size="h2">
              {title}
            </Title>
            <JobState state={job.state} />
          </Group>
          <Text size="sm" c="dimmed">
            {job.method}
            {job.reference_id && `, against ${nameOf(job.reference_id)}`}, seed {job.seed}, {moment(job.created_at)}
            {job.started_at && job.finished_at && `, took ${duration(secondsOf(job))}`}
          </Text>
        </div>
        <Actions job={job} onChange={() => setRound(round + 1)} />
      </Group>
      {!isFinal(job) && <JobProgress job={job} />}
      {job.failure && <Failure failure={job.failure} />}
      {job.state === "cancelled" && (
        <Alert color="gray" title="Cancelled">
          A retry goes on from the newest checkpoint.
        </Alert>
      )}
      {job.state === "succeeded" ? (
        <>
          <ResultsView job={job} />
          <Accordion variant="separated" order={2}>
            <Accordion.Item value="timeline">
              <Accordion.Control>Timeline</Accordion.Control>
              <Accordion.Panel>{history}</Accordion.Panel>
            </Accordion.Item>
            <Accordion.Item value="settings">
              <Accordion.Control>Settings</Accordion.Control>
              <Accordion.Panel>
                <pre className="snippet" tabIndex={0} aria-label="Settings of the job">
                  {JSON.stringify(job.config, null, 2)}
                </pre>
              </Accordion.Panel>
            </Accordion.Item>
          </Accordion>
        </>
      ) : (
        <section className="card" aria-labelledby="timeline-heading">
          <div className="card-head">
            <h2 id="timeline-heading">Timeline</h2>
          </div>
          {history}
        </section>
      )}
    </div>
  );
}

const secondsOf = (job: Job): number =>
  (Date.parse(job.finished_at ?? "") - Date.parse(job.started_at ?? "")) / 1000;

function Failure({ failure }: { failure: NonNullable<Job["failure"]> }) {
  return (
    <section className="card" aria-labelledby="failure-heading">
      <Alert color="red" variant="light" title={<span id="failure-heading">The job failed</span>} role="alert">
        <Text size="sm" c="var(--mantine-color-text)">
          {failure.detail}
        </Text>
        <Code>{failure.reason}</Code>
      </Alert>
      {failure.log_tail && (
        <>
          <Text fw={600} size="sm" mt="md" mb={6}>
            The last lines of its log
          </Text>
          <pre className="snippet log" tabIndex={0} aria-label="Log of the job">
            {failure.log_tail}
          </pre>
        </>
      )}
    </section>
  );
}

function Actions({ job, onChange }: { job: Job; onChange: () => void }) {
  const queries = useQueryClient();
  const [, navigate] = useLocation();
  const path = { params: { path: { job_id: job.id } } };
  const adopt = (changed: Job) => {
    queries.setQueryData(["job", job.id], changed);
    void queries.invalidateQueries({ queryKey: ["jobs"] });
    onChange();
  };
  const cancel = useMutation({
    mutationFn: () => dataOf(api.POST("/v1/jobs/{job_id}:cancel", path)),
    onSuccess: adopt,
  });
  const retry = useMutation({
    mutationFn: () => dataOf(api.POST("/v1/jobs/{job_id}:retry", path)),
    onSuccess: adopt,
  });
  const removal = useMutation({
    mutationFn: () => dataOf(api.DELETE("/v1/jobs/{job_id}", path)),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ["jobs"] });
      navigate("/jobs");
    },
  });
  const error = cancel.error ?? retry.error ?? removal.error;
  return (
    <Group gap="xs" ml="auto">
      {error && <ErrorNotice error={error} />}
      {job.state === "succeeded" && (
        <Anchor component={Link} href={`/compare?a=${job.id}`} size="sm" c="var(--winnow-kept-text)">
          Compare with another job
        </Anchor>
      )}
      {(job.state === "queued" || job.state === "running") && (
        <Button size="xs" variant="default" loading={cancel.isPending} onClick={() => cancel.mutate()}>
          Cancel job
        </Button>
      )}
      {(job.state === "failed" || job.state === "cancelled") && (
        <Button size="xs" loading={retry.isPending} onClick={() => retry.mutate()}>
          Retry
        </Button>
      )}
      {isFinal(job) && (
        <Button
          size="xs"
          variant="default"
          loading={removal.isPending}
          onClick={() => {
            if (window.confirm("Delete this job with its results for good?")) removal.mutate();
          }}
        >
          Delete
        </Button>
      )}
    </Group>
  );
}
