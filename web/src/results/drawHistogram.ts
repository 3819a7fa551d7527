/** Draws a histogram with its threshold; a few hundred rectangles, whatever the pool. */

export interface HistogramPicture {
  counts: ArrayLike<number>;
  threshold: number;
  isLog: boolean;
}

interface Colours {
  kept: string;
  dropped: string;
  text: string;
  line: string;
}

export const MARGIN = { left: 10, right: 10, top: 14, bottom: 22 };

/** A bar in a histogram of 230 pixels is then under six pixels high. */
const LOPSIDED = 40;

/** Whether one bar is so high that the middling ones cannot be seen beside it. */
export function isLopsided(counts: readonly number[]): boolean {
  const heights = counts.filter((count) => count > 0).sort((left, right) => left - right);
  const middling = heights[Math.floor(heights.length / 2)] ?? 0;
  return (heights.at(-1) ?? 0) > LOPSIDED * middling;
}

export function drawHistogram(canvas: HTMLCanvasElement, picture: HistogramPicture): void {
  const context = fitted(canvas);
  if (!context) return;
  const { clientWidth: width, clientHeight: height } = canvas;
  const colours = coloursOf(canvas);
  const inner = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
  context.clearRect(0, 0, width, height);
  drawBars(context, picture, inner, colours);
  drawAxis(context, inner, height, colours);
  drawHandle(context, MARGIN.left + picture.threshold * inner.width, height, colours);
}

function drawBars(
  context: CanvasRenderingContext2D,
  { counts, threshold, isLog }: HistogramPicture,
  inner: { width: number; height: number },
  colours: Colours,
): void {
  const lift = (count: number) => (isLog ? Math.log1p(count) : count);
  let most = 1e-9;
  for (let index = 0; index < counts.length; index += 1) most = Math.max(most, lift(counts[index]!));
  const barWidth = inner.width / counts.length;
  const gap = barWidth > 4 ? 1 : 0;
  for (let index = 0; index < counts.length; index += 1) {
    const count = counts[index]!;
    if (count === 0) continue;
    const tall = Math.max(1.5, (lift(count) / most) * inner.height);
    const left = MARGIN.left + index * barWidth;
    const top = MARGIN.top + inner.height - tall;
    // The bar that the threshold crosses is parted there.
    const share = Math.min(1, Math.max(0, threshold * counts.length - index));
    context.fillStyle = colours.dropped;
    context.fillRect(left, top, Math.max(0, share * barWidth - (share === 1 ? gap : 0)), tall);
    context.fillStyle = colours.kept;
    context.fillRect(left + share * barWidth, top, Math.max(0, (1 - share) * barWidth - gap), tall);
  }
}

function drawAxis(
  context: CanvasRenderingContext2D,
  inner: { width: number; height: number },
  height: number,
  colours: Colours,
): void {
  context.strokeStyle = colours.line;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(MARGIN.left, MARGIN.top + inner.height + 0.5);
  context.lineTo(MARGIN.left + inner.width, MARGIN.top + inner.height + 0.5);
  context.stroke();
  context.fillStyle = colours.text;
  context.font = "11px system-ui, sans-serif";
  for (let tick = 0; tick <= 5; tick += 1) {
    context.textAlign = tick === 0 ? "left" : tick === 5 ? "right" : "center";
    const left = MARGIN.left + (tick / 5) * inner.width;
    context.fillText((tick / 5).toFixed(1), left, height - 6);
  }
}

function drawHandle(context: CanvasRenderingContext2D, left: number, height: number, colours: Colours): void {
  context.strokeStyle = colours.text;
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(left, MARGIN.top - 2);
  context.lineTo(left, height - MARGIN.bottom);
  context.stroke();
  context.fillStyle = colours.text;
  context.beginPath();
  context.arc(left, MARGIN.top - 5, 6, 0, 2 * Math.PI);
  context.fill();
}

function coloursOf(canvas: HTMLCanvasElement): Colours {
  const style = getComputedStyle(canvas);
  return {
    kept: style.getPropertyValue("--winnow-kept").trim(),
    dropped: style.getPropertyValue("--winnow-dropped").trim(),
    line: style.getPropertyValue("--winnow-line").trim(),
    text: style.getPropertyValue("--mantine-color-text").trim(),
  };
}

/** The canvas's context, with as many pixels as the screen has there. */
function fitted(canvas: HTMLCanvasElement): CanvasRenderingContext2D | null {
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  context?.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}
