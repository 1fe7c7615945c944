import type { StepRecord } from "./log.node.ts";

/** What the page of a run shows. */
export interface PageContent {
  readonly title: string;
  readonly records: readonly StepRecord[];
  /** Updates of the whole run. */
  readonly updates: number;
  /** Sheets by file name beside the page, the newest first. */
  readonly sheets: readonly { readonly file: string; readonly update: number }[];
}

/** Points that one curve is drawn with: each is a mean of its neighbours. */
const POINTS = 300;

interface Curve {
  readonly title: string;
  readonly read: (record: StepRecord) => number | null;
}

/** Curves of the numbers that not every kind of run has. */
function figureCurves(records: readonly StepRecord[], from: "figures" | "measured", before: string): Curve[] {
  const names = new Set(records.flatMap((record) => Object.keys(record[from] ?? {})));
  return [...names].map((name) => ({
    title: before + name,
    read: (record) => record[from]?.[name] ?? null,
  }));
}

const CURVES: readonly Curve[] = [
  { title: "loss", read: ({ loss }) => loss },
  { title: "gradient norm", read: ({ gradientNorm }) => gradientNorm },
  { title: "learning rate", read: ({ learningRate }) => learningRate },
  { title: "samples per second", read: ({ samplesPerSecond }) => samplesPerSecond },
  ...Array.from({ length: 10 }, (_, i) => ({
    title: `loss, timesteps ${i}00 to ${i}99`,
    read: ({ deciles }: StepRecord) => deciles?.[i] ?? null,
  })),
];

/** The page of a run: figures, curves and sheets in one HTML file that needs no server. */
export function runPage({ title, records, updates, sheets }: PageContent): string {
  const last = records.at(-1);
  const figures =
    last === undefined
      ? []
      : [
          `update ${last.update} of ${updates}`,
          `${last.samples} samples`,
          `stage ${last.stage}${last.width === undefined ? "" : `, ${last.width}x${last.height}`}`,
          `${last.samplesPerSecond.toFixed(1)} samples/s`,
          `waited for data ${(100 * last.waiting).toFixed(1)} % of the time`,
        ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
main { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); }
figure { margin: 0; }
figcaption { color: #555; }
svg { background: #f4f4f4; display: block; width: 100%; }
img { display: block; image-rendering: pixelated; margin: 0 0 1rem; max-width: 100%; }
</style>
</head>
<body>
<h1>${escaped(title)}</h1>
<p>${figures.map(escaped).join(" · ")}</p>
<main>
${[...CURVES, ...figureCurves(records, "figures", ""), ...figureCurves(records, "measured", "kept apart: ")]
  .map((curve) => curveOf(curve, records))
  .join("\n")}
</main>
<h2>Sheets</h2>
${sheets.map(({ file, update }) => `<figure><figcaption>update ${update}</figcaption><img src="${encodeURI(file)}" alt="samples after update ${update}"></figure>`).join("\n")}
</body>
</html>
`;
}

const [WIDTH, HEIGHT] = [300, 120];

function curveOf({ title, read }: Curve, records: readonly StepRecord[]): string {
  const points = thinned(
    records.flatMap((record) => {
      const value = read(record);
      return value === null ? [] : [{ x: record.samples, y: value }];
    }),
  );
  if (points.length === 0) return "";
  const [ys, lastX] = [points.map(({ y }) => y), points.at(-1)!.x];
  const [low, high] = [Math.min(...ys), Math.max(...ys)];
  const [firstX, range] = [points[0]!.x, high - low || 1];
  const path = points
    .map(({ x, y }) => {
      const across = ((x - firstX) / (lastX - firstX || 1)) * WIDTH;
      return `${across.toFixed(1)},${(HEIGHT - ((y - low) / range) * HEIGHT).toFixed(1)}`;
    })
    .join(" ");
  const caption = `${title}: ${ys.at(-1)!.toPrecision(4)} (${low.toPrecision(3)} to ${high.toPrecision(3)})`;
  return `<figure><figcaption>${escaped(caption)}</figcaption><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(caption)}"><polyline points="${path}" fill="none" stroke="#2456c8"/></svg></figure>`;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

function thinned(points: readonly Point[]): Point[] {
  const size = Math.max(1, Math.ceil(points.length / POINTS));
  return Array.from({ length: Math.ceil(points.length / size) }, (_, i) => {
    const group = points.slice(i * size, (i + 1) * size);
    return { x: group.at(-1)!.x, y: group.reduce((sum, { y }) => sum + y, 0) / group.length };
  });
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
