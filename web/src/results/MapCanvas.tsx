import { Text, useComputedColorScheme } from "@mantine/core";
import { type KeyboardEvent, type PointerEvent, useCallback, useEffect, useMemo, useRef, useState } from "react";

import type { Job } from "../api/client";
import { percent, whole } from "../format/words";
import type { Scores } from "./columns";
import { Gallery } from "./Gallery";
import { type Box, MapRaster, type Palette, type Shown, type View, wholeView } from "./mapRaster";
import { useRedraw } from "./useRedraw";

const PALETTES: Record<"light" | "dark", Palette> = {
  light: { kept: [28, 126, 214], dropped: [240, 140, 0], page: [255, 255, 255] },
  dark: { kept: [77, 171, 247], dropped: [255, 169, 77], page: [28, 33, 40] },
};
const ZOOM = 1.25;
/** A press that moves less than this, in pixels, is a click. */
const CLICK = 4;

interface Selected {
  kept: number;
  total: number;
  positions: number[];
}

/** The map itself: moved, zoomed and brushed by mouse, finger and keys. */
export function MapCanvas(props: {
  job: Job;
  points: Float32Array;
  scores: Scores;
  threshold: number;
  label: number | null;
  shown: Shown;
  mode: "pan" | "brush";
  chosen: number | null;
  onChoose: (position: number) => void;
}) {
  const { points, scores, threshold, label, shown, mode, chosen, onChoose } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const scheme = useComputedColorScheme("light");
  const raster = useMemo(
    () => new MapRaster(points, scores.scores, scores.labels),
    [points, scores],
  );
  const [view, setView] = useState<View | null>(null);
  const [box, setBox] = useState<Box | null>(null);
  const [selected, setSelected] = useState<Selected | null>(null);
  const press = useRef<{ x: number; y: number; view: View } | null>(null);

  const current = useCallback((): View | null => {
    const target = canvas.current;
    if (!target) return null;
    return view ?? wholeView(points, target.clientWidth, target.clientHeight);
  }, [view, points]);

  const draw = useCallback(() => {
    const target = canvas.current;
    const seen = current();
    const context = target?.getContext("2d");
    if (!target || !seen || !context) return;
    // One pixel of the raster for each of the page: more would blur nothing away and cost twice.
    if (target.width !== target.clientWidth || target.height !== target.clientHeight) {
      target.width = target.clientWidth;
      target.height = target.clientHeight;
    }
    raster.paint(context, seen, { threshold, shown, label }, PALETTES[scheme]);
    if (box) drawBox(context, box);
    if (chosen !== null) drawMark(context, seen, points, chosen);
  }, [raster, current, threshold, shown, label, scheme, box, chosen, points]);
  useRedraw(canvas, draw);

  const brush = useCallback(
    (area: Box) => {
      const target = canvas.current;
      const seen = current();
      if (!target || !seen) return;
      setSelected(raster.inside(seen, target.clientWidth, target.clientHeight, area, { threshold, label }));
    },
    [raster, current, threshold, label],
  );
  // What lies in the box changes with the cut.
  useEffect(() => {
    if (box) brush(box);
  }, [box, brush]);

  const zoom = useCallback(
    (factor: number, at?: { x: number; y: number }) => {
      const target = canvas.current;
      const seen = current();
      if (!target || !seen) return;
      const away = at
        ? { x: at.x - target.clientWidth / 2, y: at.y - target.clientHeight / 2 }
        : { x: 0, y: 0 };
      // What lies under the pointer stays there.
      const gain = (1 - 1 / factor) / seen.scale;
      setBox(null);
      setSelected(null);
      setView({ x: seen.x + away.x * gain, y: seen.y - away.y * gain, scale: seen.scale * factor });
    },
    [current],
  );
  // React listens to wheels passively, and then the page would scroll as well.
  useEffect(() => {
    const target = canvas.current;
    if (!target) return;
    const onWheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey && document.activeElement !== target) return;
      event.preventDefault();
      zoom(event.deltaY < 0 ? ZOOM : 1 / ZOOM, { x: event.offsetX, y: event.offsetY });
    };
    target.addEventListener("wheel", onWheel, { passive: false });
    return () => target.removeEventListener("wheel", onWheel);
  }, [zoom]);

  const pan = (x: number, y: number) => {
    const seen = current();
    if (seen) setView({ ...seen, x: seen.x - x / seen.scale, y: seen.y + y / seen.scale });
  };
  const onPointerDown = (event: PointerEvent<HTMLCanvasElement>) => {
    const seen = current();
    if (!seen) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    const at = placeOf(event);
    press.current = { ...at, view: seen };
    setBox(null);
    setSelected(null);
  };
  const onPointerMove = (event: PointerEvent<HTMLCanvasElement>) => {
    const start = press.current;
    if (!start || !(event.buttons & 1)) return;
    const at = placeOf(event);
    if (mode === "brush" || event.shiftKey) {
      setBox({
        left: Math.min(start.x, at.x),
        right: Math.max(start.x, at.x),
        top: Math.min(start.y, at.y),
        bottom: Math.max(start.y, at.y),
      });
    } else {
      const { scale, x, y } = start.view;
      setView({ x: x - (at.x - start.x) / scale, y: y + (at.y - start.y) / scale, scale });
    }
  };
  const onPointerUp = (event: PointerEvent<HTMLCanvasElement>) => {
    const start = press.current;
    press.current = null;
    const at = placeOf(event);
    if (!start || Math.hypot(at.x - start.x, at.y - start.y) > CLICK) return;
    const { clientWidth, clientHeight } = event.currentTarget;
    const found = raster.nearest(start.view, clientWidth, clientHeight, at.x, at.y);
    if (found !== null) onChoose(found);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const actions: Record<string, () => void> = {
      ArrowLeft: () => pan(40, 0),
      ArrowRight: () => pan(-40, 0),
      ArrowUp: () => pan(0, 40),
      ArrowDown: () => pan(0, -40),
      "+": () => zoom(ZOOM),
      "=": () => zoom(ZOOM),
      "-": () => zoom(1 / ZOOM),
      "0": () => setView(null),
      Escape: () => {
        setBox(null);
        setSelected(null);
      },
      Enter: () => {
        const target = canvas.current;
        const seen = current();
        if (!target || !seen) return;
        const { clientWidth: width, clientHeight: height } = target;
        const found = raster.nearest(seen, width, height, width / 2, height / 2);
        if (found !== null) onChoose(found);
      },
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  };
  return (
    <div className="map">
      <canvas
        ref={canvas}
        tabIndex={0}
        role="application"
        aria-roledescription="map"
        aria-label="Map of the samples. Arrow keys move, plus and minus zoom, 0 shows all, Enter chooses the sample in the middle."
        data-mode={mode}
        onPointerDown={onPointerDown}
        onPointerMove={onPointerMove}
        onPointerUp={onPointerUp}
        onKeyDown={onKeyDown}
      />
      <Text size="xs" c="dimmed" mt={6}>
        Blue areas are kept, orange ones dropped. Drag to move, scroll with Ctrl to zoom, Shift-drag to
        select, click for one sample. The axes are the two leading components of the encoder.
      </Text>
      {selected && (
        <div aria-live="polite">
          <div className="counts" data-testid="selected">
            <Text span size="sm">
              Selected:
            </Text>
            <span className="kept">{whole(selected.kept)} kept</span>
            <span className="dropped">{whole(selected.total - selected.kept)} dropped</span>
            {selected.total > 0 && (
              <Text span size="sm" c="dimmed">
                {percent(selected.kept / selected.total)} kept
              </Text>
            )}
          </div>
          {!press.current && (
            <Gallery
              job={props.job}
              scores={scores}
              positions={selected.positions}
              chosen={chosen}
              nothing="No sample lies there."
              onChoose={onChoose}
            />
          )}
        </div>
      )}
    </div>
  );
}

function placeOf(event: PointerEvent<HTMLCanvasElement>): { x: number; y: number } {
  const bounds = event.currentTarget.getBoundingClientRect();
  return { x: event.clientX - bounds.left, y: event.clientY - bounds.top };
}

function drawBox(context: CanvasRenderingContext2D, box: Box): void {
  context.strokeStyle = "#868e96";
  context.lineWidth = 1.5;
  context.setLineDash([5, 4]);
  context.strokeRect(box.left, box.top, box.right - box.left, box.bottom - box.top);
  context.setLineDash([]);
}

function drawMark(context: CanvasRenderingContext2D, view: View, points: Float32Array, position: number): void {
  const { width, height } = context.canvas;
  const x = width / 2 + (points[2 * position]! - view.x) * view.scale;
  const y = height / 2 - (points[2 * position + 1]! - view.y) * view.scale;
  for (const [colour, size] of [["#ffffff", 4.5], ["#d6336c", 2.5]] as const) {
    context.strokeStyle = colour;
    context.lineWidth = size;
    context.beginPath();
    context.arc(x, y, 8, 0, 2 * Math.PI);
    context.stroke();
  }
}
