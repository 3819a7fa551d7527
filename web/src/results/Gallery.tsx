import { useQuery } from "@tanstack/react-query";

import type { Job } from "../api/client";
import { previewsQuery } from "../api/queries";
import { ErrorNotice } from "../feedback/ErrorNotice";
import { Waiting } from "../feedback/Waiting";
import { briefScore } from "../format/words";
import type { Scores } from "./columns";
import { SampleTile } from "./SampleTile";

/** Samples at given positions, each a button that shows why it weighs what it weighs. */
export function Gallery(props: {
  job: Job;
  scores: Scores;
  positions: readonly number[];
  chosen: number | null;
  nothing: string;
  onChoose: (position: number) => void;
}) {
  const { job, scores, positions } = props;
  const query = useQuery(previewsQuery(job.synthetic_id, positions));
  if (positions.length === 0) return <p>{props.nothing}</p>;
  if (query.error) return <ErrorNotice error={query.error} onRetry={() => void query.refetch()} />;
  if (!query.data) return <Waiting lines={2} height={70} />;
  const isWide = query.data.items.some((sample) => !sample.has_image);
  return (
    <ul className={isWide ? "tiles wide" : "tiles"}>
      {query.data.items.map((sample) => (
        <li key={sample.position}>
          <SampleTile
            datasetId={job.synthetic_id}
            sample={sample}
            caption={sample.class_name}
            detail={briefScore(scores.scores[sample.position] ?? 0)}
            isChosen={props.chosen === sample.position}
            onChoose={() => props.onChoose(sample.position)}
          />
        </li>
      ))}
    </ul>
  );
}
