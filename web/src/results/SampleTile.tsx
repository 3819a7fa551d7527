import { useState } from "react";

import { addressOf, type Preview } from "../api/client";

/** A sample as what it is: its picture, its text, its table row, or its name alone. */
export function SampleTile(props: {
  datasetId: string;
  sample: Preview;
  caption: string;
  detail?: string;
  isChosen?: boolean;
  onChoose?: () => void;
}) {
  const { sample, caption, detail } = props;
  const face = (
    <>
      <Face datasetId={props.datasetId} sample={sample} />
      <div className="caption">
        <span>{caption}</span>
        {detail && <span>{detail}</span>}
      </div>
    </>
  );
  if (!props.onChoose) {
    return (
      <div className="tile" style={{ cursor: "default" }} title={sample.sample_id}>
        {face}
      </div>
    );
  }
  return (
    <button
      type="button"
      className="tile"
      aria-pressed={props.isChosen ?? false}
      title={sample.sample_id}
      onClick={props.onChoose}
    >
      {face}
    </button>
  );
}

function Face({ datasetId, sample }: { datasetId: string; sample: Preview }) {
  const [isSmall, setIsSmall] = useState(false);
  if (sample.has_image) {
    const address = addressOf(`v1/datasets/${datasetId}/samples/${sample.position}/thumbnail`);
    return (
      <img
        src={address}
        alt={sample.sample_id}
        loading="lazy"
        decoding="async"
        data-small={isSmall}
        onLoad={(event) => setIsSmall(event.currentTarget.naturalWidth < 48)}
      />
    );
  }
  if (sample.text !== null) return <div className="words">{sample.text}</div>;
  const fields = Object.entries(sample.fields);
  if (fields.length === 0) return <div className="words">{sample.sample_id}</div>;
  return (
    <div className="words">
      {fields.slice(0, 5).map(([name, value]) => (
        <div key={name}>
          <b>{name}</b> {value === null ? "-" : String(value)}
        </div>
      ))}
    </div>
  );
}
