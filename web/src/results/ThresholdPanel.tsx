import { Group, Select, Switch, Text } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useMemo, useState } from "react";

import type { Job, Schemas } from "../api/client";
import { Waiting } from "../feedback/Waiting";
import { percent, shownScore, whole } from "../format/words";
import { binCounts, keptCount, type Scores } from "./columns";
import { isLopsided } from "./drawHistogram";
import { Gallery } from "./Gallery";
import { Histogram } from "./Histogram";

const SHOWN = 12;
const BINS = 120;

/** The histogram, its threshold, and what lies on both sides of it. */
export function ThresholdPanel(props: {
  job: Job;
  spread: Schemas["HistogramView"];
  scores: Scores | null;
  threshold: number;
  classNames: string[];
  label: number | null;
  chosen: number | null;
  onThreshold: (threshold: number) => void;
  onLabel: (label: number | null) => void;
  onChoose: (position: number) => void;
}) {
  const { scores, spread, threshold, label } = props;
  const [isLog, setIsLog] = useState(() => isLopsided(spread.counts));
  const order = scores ? (label === null ? scores.byRank : (scores.byRankOfClass[label] ?? new Int32Array())) : null;
  const counts = useMemo(() => {
    if (label === null) return spread.counts;
    return scores
      ? binCounts(scores.scores, scores.byRankOfClass[label] ?? null, BINS)
      : (spread.classes[label]?.counts ?? []);
  }, [scores, spread, label]);
  const kept = scores && order ? keptCount(scores.scores, order, threshold) : null;
  const total = order?.length ?? 0;
  const words =
    kept === null
      ? `threshold ${shownScore(threshold)}`
      : `threshold ${shownScore(threshold)}: ${whole(kept)} kept, ${whole(total - kept)} dropped`;
  return (
    <section className="card" aria-labelledby="threshold-heading">
      <div className="card-head">
        <h2 id="threshold-heading">
          Learned scores, threshold <span className="numbers">{shownScore(threshold)}</span>
        </h2>
        <Group gap="md">
          <ClassFilter {...props} />
          <Switch
            size="xs"
            label="log"
            checked={isLog}
            onChange={(event) => setIsLog(event.currentTarget.checked)}
          />
        </Group>
      </div>
      <Histogram counts={counts} threshold={threshold} isLog={isLog} words={words} onChange={props.onThreshold} />
      <div className="counts" data-testid="counts" aria-live="off">
        {kept === null ? (
          <Text size="sm" c="dimmed">
            Counting
          </Text>
        ) : (
          <>
            <span className="kept">{whole(kept)} kept</span>
            <span className="dropped">{whole(total - kept)} dropped</span>
            <Text span size="sm" c="dimmed">
              {percent(total ? kept / total : 0)} of {whole(total)}
            </Text>
          </>
        )}
      </div>
      {scores && order && kept !== null ? (
        <Neighbourhood {...props} scores={scores} order={order} kept={kept} />
      ) : (
        <Waiting lines={2} height={80} />
      )}
    </section>
  );
}

/** The samples on both sides of the cut; they follow when the threshold comes to rest. */
function Neighbourhood(props: {
  job: Job;
  scores: Scores;
  order: Int32Array;
  kept: number;
  chosen: number | null;
  onChoose: (position: number) => void;
}) {
  const { order } = props;
  const [kept] = useDebouncedValue(props.kept, 160);
  const dropped = useMemo(() => [...order.slice(kept, kept + SHOWN)], [order, kept]);
  const keptSamples = useMemo(() => [...order.slice(Math.max(0, kept - SHOWN), kept)].reverse(), [order, kept]);
  const shared = { job: props.job, scores: props.scores, chosen: props.chosen, onChoose: props.onChoose };
  return (
    <>
      <Text component="h3" size="sm" className="dropped" mt="md" mb={6}>
        Just dropped
      </Text>
      <Gallery {...shared} positions={dropped} nothing="Nothing is dropped." />
      <Text component="h3" size="sm" className="kept" mt="md" mb={6}>
        Just kept
      </Text>
      <Gallery {...shared} positions={keptSamples} nothing="Nothing is kept." />
    </>
  );
}

export function ClassFilter(props: {
  classNames: string[];
  label: number | null;
  onLabel: (label: number | null) => void;
}) {
  return (
    <Select
      size="xs"
      w={150}
      aria-label="Class"
      placeholder="All classes"
      clearable
      searchable={props.classNames.length > 12}
      clearButtonProps={{ "aria-label": "Show all classes" }}
      data={props.classNames.map((name, index) => ({ value: String(index), label: name }))}
      value={props.label === null ? null : String(props.label)}
      onChange={(value) => props.onLabel(value === null ? null : Number(value))}
    />
  );
}
