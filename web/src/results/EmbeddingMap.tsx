import { SegmentedControl, Text } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { type Job, ProblemError } from "../api/client";
import { mapQuery } from "../api/queries";
import { ErrorNotice } from "../feedback/ErrorNotice";
import { Waiting } from "../feedback/Waiting";
import { whole } from "../format/words";
import type { Scores } from "./columns";
import { MapCanvas } from "./MapCanvas";
import type { Shown } from "./mapRaster";

/** Where the samples lie in the space of the encoder, coloured by what the cut keeps. */
export function EmbeddingMap(props: {
  job: Job;
  scores: Scores | null;
  threshold: number;
  label: number | null;
  chosen: number | null;
  onChoose: (position: number) => void;
}) {
  const { job, scores } = props;
  const query = useQuery(mapQuery(job.id));
  // To count a million samples anew in each frame would hold up the histogram's own drag.
  const [threshold] = useDebouncedValue(props.threshold, 120);
  const [shown, setShown] = useState<Shown>("all");
  const [mode, setMode] = useState<"pan" | "brush">("pan");
  const isMissing = query.error instanceof ProblemError && query.error.problem.status === 404;
  return (
    <section className="card" aria-labelledby="map-heading">
      <div className="card-head">
        <h2 id="map-heading">
          Embedding map{job.sample_count !== null && ` (${whole(job.sample_count)} samples)`}
        </h2>
        <div style={{ display: "flex", gap: 8, flexWrap: "wrap" }}>
          <SegmentedControl
            size="xs"
            aria-label="What dragging does"
            value={mode}
            onChange={(value) => setMode(value as "pan" | "brush")}
            data={[
              { value: "pan", label: "Move" },
              { value: "brush", label: "Select" },
            ]}
          />
          <SegmentedControl
            size="xs"
            aria-label="Samples on the map"
            value={shown}
            onChange={(value) => setShown(value as Shown)}
            data={["all", "kept", "dropped"]}
          />
        </div>
      </div>
      {isMissing && (
        <Text size="sm" c="dimmed">
          This job has recorded no map.
        </Text>
      )}
      {query.error && !isMissing && (
        <ErrorNotice error={query.error} onRetry={() => void query.refetch()} />
      )}
      {query.isPending || (query.data && !scores) ? <Waiting lines={1} height={320} /> : null}
      {query.data && scores && (
        <MapCanvas {...props} threshold={threshold} points={query.data} scores={scores} shown={shown} mode={mode} />
      )}
    </section>
  );
}
