import { Text } from "@mantine/core";
import { useCallback, useRef } from "react";

import { isLopsided } from "../results/drawHistogram";
import { useRedraw } from "../results/useRedraw";

/** The scores of both jobs over the same axis: the first above the line, the second below. */
export function TwoHistograms({ first, second }: { first: number[]; second: number[] }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const isLog = isLopsided(first) || isLopsided(second);
  const draw = useCallback(() => {
    const target = canvas.current;
    const context = target?.getContext("2d");
    if (!target || !context) return;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const { clientWidth: width, clientHeight: height } = target;
    target.width = width * ratio;
    target.height = height * ratio;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(target);
    const middle = height / 2;
    const lift = (count: number) => (isLog ? Math.log1p(count) : count);
    for (const [counts, name, direction] of [
      [first, "--winnow-kept", -1],
      [second, "--winnow-dropped", 1],
    ] as const) {
      const most = lift(Math.max(1, ...counts));
      const barWidth = width / counts.length;
      context.fillStyle = style.getPropertyValue(name);
      counts.forEach((count, bin) => {
        const tall = (lift(count) / most) * (middle - 6);
        const top = direction < 0 ? middle - 1 - tall : middle + 1;
        context.fillRect(bin * barWidth, top, Math.max(1, barWidth - 1), tall);
      });
    }
  }, [first, second, isLog]);
  useRedraw(canvas, draw);
  return (
    <>
      <canvas
        ref={canvas}
        style={{ width: "100%", height: 190 }}
        role="img"
        aria-label="Histograms of the scores of both jobs"
      />
      <Text size="xs" c="dimmed" mt={4}>
        Scores from 0 to 1; the first job above the line, the second below it
        {isLog && ", the height of bars logarithmic"}.
      </Text>
    </>
  );
}
