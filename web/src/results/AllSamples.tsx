import { Button, Group, SegmentedControl } from "@mantine/core";
import { memo, useMemo, useState } from "react";

import type { Job } from "../api/client";
import { whole } from "../format/words";
import type { Scores } from "./columns";
import { Gallery } from "./Gallery";
import { ClassFilter } from "./ThresholdPanel";

const PAGE = 48;

/** All samples from worst to best or the other way, a page at a time. */
export const AllSamples = memo(function AllSamples(props: {
  job: Job;
  scores: Scores;
  classNames: string[];
  label: number | null;
  chosen: number | null;
  onChoose: (position: number) => void;
  onLabel: (label: number | null) => void;
}) {
  const { scores, label } = props;
  const [direction, setDirection] = useState("lowest");
  const [page, setPage] = useState(0);
  const order = label === null ? scores.byRank : (scores.byRankOfClass[label] ?? new Int32Array());
  const last = Math.max(0, Math.ceil(order.length / PAGE) - 1);
  const current = Math.min(page, last);
  const positions = useMemo(() => {
    const start = current * PAGE;
    if (direction === "highest") return [...order.slice(start, start + PAGE)];
    const end = order.length - start;
    return [...order.slice(Math.max(0, end - PAGE), end)].reverse();
  }, [order, direction, current]);
  return (
    <section className="card" aria-labelledby="all-heading">
      <div className="card-head">
        <h2 id="all-heading">All samples by score</h2>
        <Group gap="sm">
          <ClassFilter {...props} />
          <SegmentedControl
            size="xs"
            aria-label="Order"
            value={direction}
            onChange={(value) => {
              setDirection(value);
              setPage(0);
            }}
            data={[
              { value: "lowest", label: "Lowest first" },
              { value: "highest", label: "Highest first" },
            ]}
          />
        </Group>
      </div>
      <Gallery
        job={props.job}
        scores={scores}
        positions={positions}
        chosen={props.chosen}
        nothing="This class has no samples."
        onChoose={props.onChoose}
      />
      <Group mt="md" gap="sm">
        <Button size="xs" variant="default" disabled={current === 0} onClick={() => setPage(current - 1)}>
          Previous
        </Button>
        <Button size="xs" variant="default" disabled={current === last} onClick={() => setPage(current + 1)}>
          Next
        </Button>
        <span className="numbers">
          Page {whole(current + 1)} of {whole(last + 1)}
        </span>
      </Group>
    </section>
  );
});
