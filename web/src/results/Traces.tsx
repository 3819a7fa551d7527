import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import type { Job } from "../api/client";
import { tracesQuery } from "../api/queries";
import { Answer } from "../feedback/Answer";
import { type Chart, chartsOf } from "./charts";
import { TraceChart } from "./TraceChart";

/** What training recorded, step by step; all cursors move together. */
export function Traces({ job }: { job: Job }) {
  const query = useQuery(tracesQuery(job.id));
  return (
    <section className="card" aria-labelledby="traces-heading">
      <div className="card-head">
        <h2 id="traces-heading">Traces</h2>
      </div>
      <Answer query={query}>
        {({ series }) => {
          const charts = chartsOf(series);
          if (charts.length === 0) {
            return (
              <Text size="sm" c="dimmed">
                This job has recorded no series.
              </Text>
            );
          }
          return (
            <div className="traces">
              {charts.map((chart: Chart) => (
                <TraceChart key={chart.title} chart={chart} syncKey={job.id} />
              ))}
            </div>
          );
        }}
      </Answer>
    </section>
  );
}
