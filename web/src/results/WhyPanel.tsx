import { Anchor, Button, Group, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import type { Job, Sample } from "../api/client";
import { previewsQuery, sampleQuery } from "../api/queries";
import { Answer } from "../feedback/Answer";
import { briefScore, percent, shownScore, spelled, whole } from "../format/words";
import { isOfClass, wordsOfFeature } from "./featureWords";
import { SampleTile } from "./SampleTile";

const SHOWN = 8;

interface Choice {
  job: Job;
  threshold: number;
  onChoose: (position: number) => void;
}

/** How one sample differs from those that are kept, and what lies near it. */
export function WhyPanel(props: Choice & { position: number | null }) {
  return (
    <section className="card" aria-labelledby="why-heading">
      <div className="card-head">
        <h2 id="why-heading">Why this score?</h2>
      </div>
      {props.position === null ? (
        <Text size="sm" c="dimmed">
          Choose a sample in a gallery or on the map to see how it differs from kept samples.
        </Text>
      ) : (
        <Explanation {...props} position={props.position} />
      )}
    </section>
  );
}

function Explanation({ job, threshold, position, onChoose }: Choice & { position: number }) {
  const query = useQuery(sampleQuery(job.id, position));
  return (
    <Answer query={query} lines={6}>
      {(sample) => (
        <>
          <Headline job={job} sample={sample} threshold={threshold} />
          <Features key={position} features={sample.features} />
          <Neighbours job={job} sample={sample} onChoose={onChoose} />
        </>
      )}
    </Answer>
  );
}

function Headline({ job, sample, threshold }: { job: Job; sample: Sample; threshold: number }) {
  const isKept = sample.score >= Math.fround(threshold);
  const { data } = useQuery(previewsQuery(job.synthetic_id, [sample.position]));
  const preview = data?.items[0];
  return (
    <Group align="flex-start" wrap="nowrap" mb="md" gap="md">
      {preview && (
        <div style={{ width: preview.has_image ? 92 : 190, flex: "none" }}>
          <SampleTile datasetId={job.synthetic_id} sample={preview} caption={preview.class_name} />
        </div>
      )}
      <div style={{ minWidth: 0 }}>
        <Text size="sm" fw={600} style={{ overflowWrap: "anywhere" }}>
          {sample.sample_id}
        </Text>
        <Text size="sm" className="numbers">
          score {shownScore(sample.score)}, weight {sample.weight.toFixed(2)}
        </Text>
        <Text size="sm" c="dimmed" className="numbers">
          rank {whole(sample.rank + 1)}
          {job.sample_count ? ` of ${whole(job.sample_count)} (${percent((sample.rank + 1) / job.sample_count)})` : ""}
        </Text>
        <Text size="sm" className={isKept ? "kept" : "dropped"}>
          {isKept ? "kept" : "dropped"} by this cut
        </Text>
      </div>
    </Group>
  );
}

function Features({ features }: { features: Sample["features"] }) {
  const [isOpen, setIsOpen] = useState(false);
  const unusual = [...features].sort((left, right) => rarity(right) - rarity(left));
  const shown = isOpen ? unusual : unusual.slice(0, SHOWN);
  return (
    <>
      <Text size="xs" c="dimmed" mb={8}>
        Where it lies among the samples that the suggested cut keeps; the band is their middle half.
        Most unusual first.
      </Text>
      <ul className="why">
        {shown.map((feature) => (
          <li key={feature.name}>
            <div className="line">
              <span title={spelled(feature.name)}>{wordsOfFeature(feature.name)}</span>
              <Text span size="sm" c="dimmed" className="numbers" style={{ whiteSpace: "nowrap" }}>
                {feature.percentile_among_kept === null
                  ? "-"
                  : `above ${feature.percentile_among_kept.toFixed(0)} %`}
              </Text>
            </div>
            <div className="scale" aria-hidden>
              <span className="middle" />
              {feature.percentile_among_kept !== null && (
                <span className="mark" style={{ left: `${feature.percentile_among_kept}%` }} />
              )}
            </div>
          </li>
        ))}
      </ul>
      {features.length > SHOWN && (
        <Button size="compact-xs" variant="subtle" c="var(--winnow-kept-text)" mt="sm" onClick={() => setIsOpen(!isOpen)}>
          {isOpen ? "Show the most unusual" : `Show all ${features.length}`}
        </Button>
      )}
    </>
  );
}

const rarity = (feature: Sample["features"][number]): number =>
  isOfClass(feature.name) ? -1 : Math.abs((feature.percentile_among_kept ?? 50) - 50);

function Neighbours(props: { job: Job; sample: Sample; onChoose: (position: number) => void }) {
  const { job, sample } = props;
  const positions = sample.neighbours.map((item) => item.position);
  const { data } = useQuery(previewsQuery(job.synthetic_id, positions));
  if (positions.length === 0) return null;
  const previews = new Map(data?.items.map((item) => [item.position, item]));
  const isWide = data?.items.some((item) => !item.has_image);
  return (
    <>
      <Text component="h3" size="sm" fw={600} mt="lg" mb={6}>
        Nearest in the pool
      </Text>
      <ul className={isWide ? "tiles wide" : "tiles"}>
        {sample.neighbours.map((item) => {
          const preview = previews.get(item.position);
          return (
            <li key={item.position}>
              {preview ? (
                <SampleTile
                  datasetId={job.synthetic_id}
                  sample={preview}
                  caption={item.class_name}
                  detail={briefScore(item.score)}
                  onChoose={() => props.onChoose(item.position)}
                />
              ) : (
                <Anchor size="xs">{item.sample_id}</Anchor>
              )}
            </li>
          );
        })}
      </ul>
    </>
  );
}
