import { Waiting } from "../feedback/Waiting";
import { whole } from "../format/words";
import { keptCount, type Scores } from "./columns";

/** Of each class, how much is kept. */
export function ClassBars(props: {
  scores: Scores | null;
  threshold: number;
  classNames: string[];
  label: number | null;
  onLabel: (label: number | null) => void;
}) {
  const { scores, threshold, classNames } = props;
  return (
    <section className="card" aria-labelledby="classes-heading">
      <div className="card-head">
        <h2 id="classes-heading">Per class</h2>
      </div>
      {scores === null ? (
        <Waiting lines={4} height={16} />
      ) : (
        <dl className="bars" tabIndex={0} aria-label="Kept samples by class">
          {classNames.map((name, label) => {
            const order = scores.byRankOfClass[label] ?? new Int32Array();
            const kept = keptCount(scores.scores, order, threshold);
            return <Bar key={name} name={name} kept={kept} total={order.length} />;
          })}
        </dl>
      )}
    </section>
  );
}

function Bar({ name, kept, total }: { name: string; kept: number; total: number }) {
  return (
    <>
      <dt title={name}>{name}</dt>
      <dd className="track" aria-hidden>
        <span style={{ transform: `scaleX(${total ? kept / total : 0})` }} />
      </dd>
      <dd>
        {whole(kept)} / {whole(total)}
      </dd>
    </>
  );
}
