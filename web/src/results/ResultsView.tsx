import { useQuery } from "@tanstack/react-query";
import { memo, useMemo } from "react";

import type { Job, Schemas } from "../api/client";
import { histogramQuery, scoresQuery } from "../api/queries";
import { Answer } from "../feedback/Answer";
import { AllSamples } from "./AllSamples";
import { ClassBars } from "./ClassBars";
import { CutPanel } from "./CutPanel";
import { EmbeddingMap } from "./EmbeddingMap";
import { ReportPanel } from "./ReportPanel";
import { ThresholdPanel } from "./ThresholdPanel";
import { Traces } from "./Traces";
import { useCutState } from "./useCutState";
import { WhyPanel } from "./WhyPanel";

const BINS = 120;

/** Everything that a finished job has found, around one threshold. */
export function ResultsView({ job }: { job: Job }) {
  // The service counts before all scores have arrived, so that there is something to see at once.
  const histogram = useQuery(histogramQuery(job.id, BINS));
  return (
    <Answer query={histogram} lines={8}>
      {(spread) => <Results job={job} spread={spread} />}
    </Answer>
  );
}

function Results({ job, spread }: { job: Job; spread: Schemas["HistogramView"] }) {
  const scores = useQuery(scoresQuery(job.id)).data ?? null;
  const state = useCutState();
  const classNames = useMemo(() => spread.classes.map((item) => item.name), [spread]);
  const threshold = state.threshold ?? scores?.suggested ?? middleOf(spread);
  const shared = { job, scores, threshold, classNames, label: state.label };
  return (
    <>
      <div className="split">
        <div className="column">
          <ThresholdPanel
            {...shared}
            spread={spread}
            chosen={state.sample}
            onThreshold={state.setThreshold}
            onChoose={state.setSample}
            onLabel={state.setLabel}
          />
          {job.selector_id === null && (
            <EmbeddingMap {...shared} chosen={state.sample} onChoose={state.setSample} />
          )}
        </div>
        <div className="column">
          <ClassBars {...shared} onLabel={state.setLabel} />
          <WhyPanel job={job} threshold={threshold} position={state.sample} onChoose={state.setSample} />
          <CutPanel {...shared} onThreshold={state.setThreshold} />
        </div>
      </div>
      {scores && (
        <AllSamples
          job={job}
          scores={scores}
          classNames={classNames}
          label={state.label}
          chosen={state.sample}
          onChoose={state.setSample}
          onLabel={state.setLabel}
        />
      )}
      <Records job={job} />
    </>
  );
}

/** What does not depend on the cut, and so is left alone while the threshold is dragged. */
const Records = memo(function Records({ job }: { job: Job }) {
  return (
    <>
      <ReportPanel job={job} />
      <Traces job={job} />
    </>
  );
});

/** A middling cut until all scores are here, and with them the job's own suggestion. */
function middleOf(spread: Schemas["HistogramView"]): number {
  const total = spread.counts.reduce((sum, count) => sum + count, 0);
  let above = 0;
  for (let bin = spread.counts.length - 1; bin > 0; bin -= 1) {
    above += spread.counts[bin] ?? 0;
    if (above >= total / 2) return spread.edges[bin] ?? 0.5;
  }
  return 0.5;
}
