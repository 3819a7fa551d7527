import { Text } from "@mantine/core";
import { useMemo } from "react";
import { useLocation } from "wouter";

import type { Job } from "../api/client";
import { percent, whole } from "../format/words";
import type { Scores } from "../results/columns";
import { Gallery } from "../results/Gallery";

const SHOWN = 12;

/** How far both jobs keep the same samples, and the samples on which they differ most. */
export function Agreement({ job, first, second }: { job: Job; first: Scores; second: Scores }) {
  const [, navigate] = useLocation();
  const found = useMemo(() => compare(first, second), [first, second]);
  const choose = (position: number) => navigate(`/jobs/${job.id}?sample=${position}`);
  const shared = { job, scores: first, chosen: null, onChoose: choose };
  return (
    <>
      <div className="counts" style={{ marginTop: 14 }}>
        <span>
          <b>{percent(found.agreeing / first.scores.length)}</b> of {whole(first.scores.length)} samples
          are judged alike by both suggested cuts
        </span>
        <span>
          the first keeps <b>{whole(found.keptByFirst)}</b>, the second <b>{whole(found.keptBySecond)}</b>
        </span>
        <span>
          rank correlation <b>{found.correlation.toFixed(3)}</b>
        </span>
      </div>
      <Text component="h3" size="sm" className="kept" mt="md" mb={6}>
        Ranked much higher by the first job
      </Text>
      <Gallery {...shared} positions={found.higherInFirst} nothing="None." />
      <Text component="h3" size="sm" className="dropped" mt="md" mb={6}>
        Ranked much higher by the second job
      </Text>
      <Gallery {...shared} positions={found.higherInSecond} nothing="None." />
    </>
  );
}

function compare(first: Scores, second: Scores) {
  const count = first.scores.length;
  const rankInSecond = new Int32Array(count);
  second.byRank.forEach((position, rank) => {
    rankInSecond[position] = rank;
  });
  const [cutOne, cutTwo] = [Math.fround(first.suggested), Math.fround(second.suggested)];
  let [agreeing, keptByFirst, keptBySecond] = [0, 0, 0];
  let squares = 0;
  const gaps: { position: number; gap: number }[] = [];
  first.byRank.forEach((position, rank) => {
    const gap = rankInSecond[position]! - rank;
    squares += gap * gap;
    const isKeptByFirst = first.scores[position]! >= cutOne;
    const isKeptBySecond = second.scores[position]! >= cutTwo;
    if (isKeptByFirst === isKeptBySecond) agreeing += 1;
    if (isKeptByFirst) keptByFirst += 1;
    if (isKeptBySecond) keptBySecond += 1;
    gaps.push({ position, gap });
  });
  gaps.sort((left, right) => right.gap - left.gap);
  const places = (items: typeof gaps) => items.map((item) => item.position);
  return {
    agreeing,
    keptByFirst,
    keptBySecond,
    // Spearman's; ranks have no ties.
    correlation: count > 1 ? 1 - (6 * squares) / (count * (count * count - 1)) : 1,
    higherInFirst: places(gaps.filter((item) => item.gap > 0).slice(0, SHOWN)),
    higherInSecond: places(gaps.filter((item) => item.gap < 0).slice(-SHOWN).reverse()),
  };
}
