import { type KeyboardEvent, type PointerEvent, useCallback, useRef } from "react";

import { drawHistogram, MARGIN } from "./drawHistogram";
import { useRedraw } from "./useRedraw";

const STEP = 0.005;
const LEAP = 0.05;

/** The spread of the scores with a threshold that is dragged, clicked or moved by keys. */
export function Histogram(props: {
  counts: ArrayLike<number>;
  threshold: number;
  isLog: boolean;
  words: string;
  onChange: (threshold: number) => void;
}) {
  const { counts, threshold, isLog, onChange } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const draw = useCallback(() => {
    if (canvas.current) drawHistogram(canvas.current, { counts, threshold, isLog });
  }, [counts, threshold, isLog]);
  useRedraw(canvas, draw);

  const moveTo = (event: PointerEvent<HTMLCanvasElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    const share = (event.clientX - box.left - MARGIN.left) / (box.width - MARGIN.left - MARGIN.right);
    onChange(tidy(share));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const moves: Record<string, number> = {
      ArrowLeft: threshold - STEP,
      ArrowDown: threshold - STEP,
      ArrowRight: threshold + STEP,
      ArrowUp: threshold + STEP,
      PageDown: threshold - LEAP,
      PageUp: threshold + LEAP,
      Home: 0,
      End: 1,
    };
    const target = moves[event.key];
    if (target === undefined) return;
    event.preventDefault();
    onChange(tidy(target));
  };
  return (
    <div className="histogram">
      <canvas
        ref={canvas}
        role="slider"
        tabIndex={0}
        aria-label="Threshold on the score"
        aria-valuemin={0}
        aria-valuemax={1}
        // A tiny number would be written with an exponent, which is no valid value.
        aria-valuenow={tidy(threshold)}
        aria-valuetext={props.words}
        onKeyDown={onKeyDown}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          moveTo(event);
        }}
        onPointerMove={(event) => {
          if (event.buttons & 1) moveTo(event);
        }}
      />
    </div>
  );
}

const tidy = (threshold: number): number =>
  Math.round(Math.min(1, Math.max(0, threshold)) * 10_000) / 10_000;
