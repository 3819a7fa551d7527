import { Group, Progress, Text } from "@mantine/core";

import type { Job } from "../api/client";
import { duration, percent, whole } from "../format/words";

const PHASES = ["load", "encode", "features", "train", "evaluate", "score", "distil", "write"];

/** How far a job is: phase, share, steps and the time that is left. */
export function JobProgress({ job }: { job: Job }) {
  const at = PHASES.indexOf(job.phase ?? "");
  return (
    <section className="card" aria-labelledby="progress-heading">
      <div className="card-head">
        <h2 id="progress-heading">{headline(job)}</h2>
        <Text size="sm" className="numbers">
          {percent(job.fraction, 0)}
          {job.eta_seconds !== null && `, about ${duration(job.eta_seconds)} left`}
        </Text>
      </div>
      <Progress value={100 * job.fraction} size="lg" animated aria-label="Progress of the job" />
      <Group gap={6} mt="md" component="ol" p={0} m={0} style={{ listStyle: "none" }} aria-label="Phases">
        {PHASES.map((phase, index) => (
          <Text
            key={phase}
            component="li"
            size="xs"
            fw={index === at ? 700 : 400}
            c={index === at ? "var(--winnow-kept-text)" : "dimmed"}
            aria-current={index === at ? "step" : undefined}
          >
            {phase}
            {index < PHASES.length - 1 && <span aria-hidden> ›</span>}
          </Text>
        ))}
      </Group>
      <Text size="sm" c="dimmed" mt="xs" className="numbers">
        {job.step !== null && job.total_steps !== null && job.total_steps > 1
          ? `Step ${whole(job.step)} of ${whole(job.total_steps)}`
          : "\u00a0"}
        {job.device && ` on ${job.device}`}
        {job.attempt > 1 && `, attempt ${job.attempt} of ${job.max_attempts}`}
      </Text>
      <Text size="sm" c="dimmed" mt={4}>
        You may close this page; the job goes on, and its results will be here.
      </Text>
    </section>
  );
}

function headline(job: Job): string {
  if (job.state === "queued") {
    return job.queue_position === null ? "Waiting in the queue" : `Number ${job.queue_position} in the queue`;
  }
  if (job.state === "cancelling") return "Stopping";
  return `Running: ${job.phase ?? "starting"}`;
}
