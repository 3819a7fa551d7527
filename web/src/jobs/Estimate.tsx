import { Alert, Text } from "@mantine/core";

import type { Schemas } from "../api/client";
import { bytes, counted, duration } from "../format/words";

/** What a job would take, and what may spoil it. */
export function Estimate({ estimate }: { estimate: Schemas["JobEstimateView"] }) {
  const basis =
    estimate.basis === "rule"
      ? "by a rough rule, until jobs like it have run"
      : `by ${counted(estimate.past_job_count, "past job")}`;
  return (
    <Alert color="gray" variant="light" title={`About ${duration(estimate.seconds)}, ${basis}`}>
      <Text size="sm" c="var(--mantine-color-text)">
        {duration(estimate.seconds_low)} to {duration(estimate.seconds_high)} once it runs, up to{" "}
        {bytes(estimate.peak_memory_bytes)} of memory
        {estimate.device ? `, on ${estimate.device === "cpu" ? "a CPU" : "a GPU"}` : ""}.
      </Text>
      {estimate.warnings.map((warning) => (
        <Text key={warning.reason} size="sm" mt={4} c="var(--mantine-color-text)">
          {warning.detail}
        </Text>
      ))}
    </Alert>
  );
}
