/** A density map of all samples, counted into pixels anew for each frame. */

export interface View {
  /** The middle of what is shown, in the map's own units. */
  x: number;
  y: number;
  /** Pixels for each unit. */
  scale: number;
}

export type Shown = "all" | "kept" | "dropped";

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

type Colour = readonly [number, number, number];

export interface Palette {
  kept: Colour;
  dropped: Colour;
  page: Colour;
}

/** The view that shows nearly all samples; a few far ones may lie outside. */
export function wholeView(points: Float32Array, width: number, height: number): View {
  const count = points.length / 2;
  const stride = Math.max(1, Math.floor(count / 20_000));
  const xs: number[] = [];
  const ys: number[] = [];
  for (let index = 0; index < count; index += stride) {
    xs.push(points[2 * index]!);
    ys.push(points[2 * index + 1]!);
  }
  const [left, right] = middleRange(xs);
  const [bottom, top] = middleRange(ys);
  const scale = Math.min(width / (right - left || 1), height / (top - bottom || 1)) * 0.92;
  return { x: (left + right) / 2, y: (top + bottom) / 2, scale };
}

function middleRange(values: number[]): [number, number] {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
  return [at(0.002), at(0.998)];
}

/** Buffers of one canvas, kept from frame to frame. */
export class MapRaster {
  private all = new Uint32Array(0);
  private kept = new Uint32Array(0);
  private image: ImageData | null = null;
  /** What the image shows. */
  private painted: readonly unknown[] = [];

  constructor(
    private readonly points: Float32Array,
    private readonly scores: Float32Array,
    private readonly labels: Int32Array,
  ) {}

  /**
   * Count and paint; cost: one pass over the samples and one over the pixels, where anything but
   * what is drawn over the map has changed since the last frame.
   */
  paint(
    context: CanvasRenderingContext2D,
    view: View,
    cut: { threshold: number; shown: Shown; label: number | null },
    palette: Palette,
  ): void {
    const { width, height } = context.canvas;
    if (this.image?.width !== width || this.image.height !== height) {
      this.image = context.createImageData(width, height);
      this.all = new Uint32Array(width * height);
      this.kept = new Uint32Array(width * height);
    }
    const asked = [this.image, view.x, view.y, view.scale, cut.threshold, cut.shown, cut.label, palette];
    if (asked.some((value, index) => value !== this.painted[index])) {
      // Where there are few samples, each needs more than a pixel to be seen.
      const dot = this.scores.length > 60_000 ? 1 : this.scores.length > 6_000 ? 2 : 3;
      this.count(view, width, height, cut, dot);
      this.colour(this.image, cut.shown, palette);
      this.painted = asked;
    }
    context.putImageData(this.image, 0, 0);
  }

  private count(
    view: View,
    width: number,
    height: number,
    cut: { threshold: number; label: number | null },
    dot: number,
  ): void {
    const { points, scores, labels, all, kept } = this;
    all.fill(0);
    kept.fill(0);
    const threshold = Math.fround(cut.threshold);
    const label = cut.label ?? -1;
    const { scale } = view;
    const shiftX = width / 2 - view.x * scale;
    const shiftY = height / 2 + view.y * scale;
    for (let index = 0; index < scores.length; index += 1) {
      if (label >= 0 && labels[index] !== label) continue;
      const x = points[2 * index]! * scale + shiftX;
      const y = shiftY - points[2 * index + 1]! * scale;
      if (!(x >= 0 && y >= 0 && x < width - dot && y < height - dot)) continue;
      const isKept = scores[index]! >= threshold ? 1 : 0;
      const place = (y | 0) * width + (x | 0);
      for (let row = 0; row < dot; row += 1) {
        for (let column = 0; column < dot; column += 1) {
          all[place + row * width + column]! += 1;
          kept[place + row * width + column]! += isKept;
        }
      }
    }
  }

  private colour(image: ImageData, shown: Shown, palette: Palette): void {
    const { all, kept } = this;
    let most = 1;
    for (const count of all) if (count > most) most = count;
    const opacity = opacities(most);
    const table = shadesOf(palette);
    const pixels = new Uint32Array(image.data.buffer);
    const page = packed(palette.page, palette.page, 0);
    for (let place = 0; place < all.length; place += 1) {
      const total = all[place]!;
      const count = shown === "all" ? total : shown === "kept" ? kept[place]! : total - kept[place]!;
      if (count === 0) {
        pixels[place] = page;
        continue;
      }
      const share = shown === "all" ? ((SHARES * kept[place]!) / total) | 0 : shown === "kept" ? SHARES : 0;
      pixels[place] = table[share * SHADES + opacity[Math.min(count, opacity.length - 1)]!]!;
    }
  }

  /** How many samples of a box are kept and dropped, and where the first of them are. */
  inside(view: View, width: number, height: number, box: Box, cut: { threshold: number; label: number | null }) {
    const { points, scores, labels } = this;
    const left = view.x + (box.left - width / 2) / view.scale;
    const right = view.x + (box.right - width / 2) / view.scale;
    const top = view.y - (box.top - height / 2) / view.scale;
    const bottom = view.y - (box.bottom - height / 2) / view.scale;
    const threshold = Math.fround(cut.threshold);
    const positions: number[] = [];
    let kept = 0;
    let total = 0;
    for (let index = 0; index < scores.length; index += 1) {
      const x = points[2 * index]!;
      if (x < left || x > right) continue;
      const y = points[2 * index + 1]!;
      if (y < bottom || y > top) continue;
      if (cut.label !== null && labels[index] !== cut.label) continue;
      total += 1;
      if (scores[index]! >= threshold) kept += 1;
      if (positions.length < MOST_LISTED) positions.push(index);
    }
    return { kept, total, positions };
  }

  /** The sample nearest to a place of the canvas, or null where none is near. */
  nearest(view: View, width: number, height: number, x: number, y: number): number | null {
    const { points, scores } = this;
    const wantedX = view.x + (x - width / 2) / view.scale;
    const wantedY = view.y - (y - height / 2) / view.scale;
    let best = (REACH / view.scale) ** 2;
    let found: number | null = null;
    for (let index = 0; index < scores.length; index += 1) {
      const awayX = points[2 * index]! - wantedX;
      const awayY = points[2 * index + 1]! - wantedY;
      const away = awayX * awayX + awayY * awayY;
      if (away < best) {
        best = away;
        found = index;
      }
    }
    return found;
  }
}

const SHARES = 31;
const SHADES = 32;
const MOST_LISTED = 12;
/** How far from a sample, in pixels, a click still means it. */
const REACH = 12;

/** For each count in a pixel, how strong its colour is: by the logarithm, as eyes judge density. */
function opacities(most: number): Uint8Array {
  const length = Math.min(most, 4_096) + 1;
  const top = Math.log1p(length - 1);
  return Uint8Array.from({ length }, (_, count) =>
    count === 0 ? 0 : Math.round((SHADES - 1) * (0.35 + 0.65 * (top > 0.7 ? Math.log1p(count) / top : 0.7))),
  );
}

let cached: { palette: Palette; table: Uint32Array } | null = null;

/** All colours by kept share and strength, made once for a palette. */
function shadesOf(palette: Palette): Uint32Array {
  if (cached?.palette === palette) return cached.table;
  const table = new Uint32Array((SHARES + 1) * SHADES);
  for (let share = 0; share <= SHARES; share += 1) {
    const hue = palette.dropped.map(
      (value, index) => value + ((palette.kept[index] ?? 0) - value) * (share / SHARES),
    ) as unknown as Colour;
    for (let shade = 0; shade < SHADES; shade += 1) {
      table[share * SHADES + shade] = packed(palette.page, hue, shade / (SHADES - 1));
    }
  }
  cached = { palette, table };
  return table;
}

function packed(from: Colour, to: Colour, share: number): number {
  const mix = (index: 0 | 1 | 2) => Math.round(from[index] + (to[index] - from[index]) * share);
  return ((255 << 24) | (mix(2) << 16) | (mix(1) << 8) | mix(0)) >>> 0;
}
