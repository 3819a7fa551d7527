import { useComputedColorScheme } from "@mantine/core";
import { type RefObject, useEffect, useRef } from "react";

/** Draw in the next frame whenever the picture, the size or the colours have changed. */
export function useRedraw(canvas: RefObject<HTMLCanvasElement | null>, draw: () => void): void {
  const scheme = useComputedColorScheme("light");
  const latest = useRef(draw);
  latest.current = draw;
  useEffect(() => {
    const frame = requestAnimationFrame(() => latest.current());
    return () => cancelAnimationFrame(frame);
  }, [draw, scheme]);
  useEffect(() => {
    if (!canvas.current) return;
    const observer = new ResizeObserver(() => latest.current());
    observer.observe(canvas.current);
    return () => observer.disconnect();
  }, [canvas]);
}
