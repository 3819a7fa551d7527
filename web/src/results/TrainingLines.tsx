import { Anchor, Button, Code, CopyButton, Group, SegmentedControl } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { addressOf, type Job } from "../api/client";
import { datasetQuery, reportQuery } from "../api/queries";
import { factor } from "../format/words";
import { reportOf } from "./report";

/** The file that a training script reads, and the lines that make this cut of it or take weights. */
export function TrainingLines({ job, threshold }: { job: Job; threshold: number }) {
  const hasImages = useHasImages(job);
  const [isWeighted, setIsWeighted] = useState(false);
  const format = hasImages ? "imagefolder" : "parquet";
  const file = hasImages ? "manifest.imagefolder.zip" : "manifest.parquet";
  const loaded = `load_dataset("${format}", data_files="${file}", split="train")`;
  // Beside images the classes are names; networks are trained on numbers.
  const encoded = hasImages ? `${loaded}.class_encode_column("label")` : loaded;
  const referenceWeight = useReferenceWeight(job);
  const joinsReference = isWeighted && referenceWeight !== "1";
  const lines = [
    ...(joinsReference ? ["import torch"] : []),
    "from datasets import load_dataset",
    `ds = ${encoded}`,
    ...(joinsReference
      ? joinedLines(referenceWeight)
      : isWeighted
        ? ['sampler = torch.utils.data.WeightedRandomSampler(ds["weight"], len(ds))']
        : [`ds = ds.filter(lambda score: score >= ${threshold}, input_columns="score")`]),
  ].join("\n");
  return (
    <div>
      <ol className="steps">
        <li>
          Download{" "}
          <Anchor
            inherit
            fw={600}
            c="var(--winnow-kept-text)"
            href={addressOf(`v1/jobs/${job.id}/manifest?format=${format}&kept_only=false`)}
            download
          >
            {file}
          </Anchor>
          : every sample with its score and weight{hasImages && ", images included"}.
        </li>
        {joinsReference && (
          <li>
            Load your reference set as <Code>reference</Code>, with the columns and class numbers of{" "}
            <Code>ds</Code>: beside these weights each of its samples counts {referenceWeight} times.
          </li>
        )}
        <li>
          <Code>pip install datasets{hasImages && " pillow"}</Code>, and paste into your training
          script:
        </li>
      </ol>
      <pre className="snippet" tabIndex={0} aria-label="Lines for a training script" data-testid="snippet">
        {lines}
      </pre>
      <Group gap="sm" mt={8}>
        <CopyButton value={lines}>
          {({ copied, copy }) => (
            <Button size="xs" variant="default" onClick={copy}>
              {copied ? "Copied" : "Copy"}
            </Button>
          )}
        </CopyButton>
        <SegmentedControl
          size="xs"
          aria-label="What the lines do"
          data={[
            { value: "cut", label: "this cut" },
            { value: "weights", label: "weights" },
          ]}
          value={isWeighted ? "weights" : "cut"}
          onChange={(value) => setIsWeighted(value === "weights")}
        />
      </Group>
    </div>
  );
}

/** The pool by its weights, joined with the reference set. */
const joinedLines = (referenceWeight: string): string[] => [
  `weights = [*ds["weight"], *[${referenceWeight}] * len(reference)]`,
  "ds = torch.utils.data.ConcatDataset([ds, reference])",
  "sampler = torch.utils.data.WeightedRandomSampler(weights, len(ds))",
];

/** How often a reference sample counts beside the job's weights, in the digits that are shown. */
function useReferenceWeight(job: Job): string {
  const report = useQuery(reportQuery(job.id)).data;
  return report ? factor(reportOf(report).referenceWeight) : "1";
}

/** Whether the pool of a job holds images, which then can be downloaded too. */
export function useHasImages(job: Job): boolean {
  return useQuery(datasetQuery(job.synthetic_id)).data?.modality === "image";
}
