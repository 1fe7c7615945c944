import type { Told } from "./judge.ts";
import { PAGE_WORDS, type PageLanguage, type PageWords } from "./page-words.ts";
import { GROUPS, type Group, type Retrieval, type Summary } from "./questions.ts";
import type { Rate } from "./rate.ts";
import type { PictureFigures, Report } from "./report.ts";

/** Names of codes in every language. */
type Labels = ReadonlyMap<string, Readonly<Record<string, string>>>;

/** Pictures of a sheet. */
const SHOWN = 24;
/** Subjects of the table. */
const HARDEST = 30;

/** The page of an evaluation: figures, curves and sheets in one HTML file that needs no server. */
export function evaluationPage(report: Report, labels: Labels, language: PageLanguage): string {
  const words: PageWords = PAGE_WORDS[language];
  const { settings, subjects, languages, seeds } = report;
  const title = escaped(words.title(report.model.name));
  const told = (name: string) => String(settings[name] ?? "");
  const size = `${told("width")}x${told("height")}`;
  const facts = [
    words.asked(subjects.asked, subjects.listed, languages.join(", "), seeds.length),
    words.drawn(size, told("steps"), told("guidance"), told("sampler")),
    report.model.fingerprint,
  ];
  return `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { padding: .2rem .7rem .2rem 0; text-align: left; vertical-align: top; }
tr:nth-child(even) { background: #f4f4f4; }
small, figcaption { color: #555; }
.charts { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); }
.sheet { display: grid; gap: .7rem; grid-template-columns: repeat(auto-fill, minmax(7rem, 1fr)); }
figure { margin: 0; }
figcaption { font-size: .8rem; overflow-wrap: anywhere; }
svg { background: #f4f4f4; display: block; width: 100%; }
img { border: 1px solid #ddd; box-sizing: border-box; display: block; image-rendering: pixelated; width: 100%; }
</style>
</head>
<body>
<h1>${title}</h1>
<p>${facts.map(escaped).join("<br>")}</p>
<h2>${escaped(words.rates)}</h2>
<p>${escaped(words.how)}</p>
${rateTable(report.rates, words)}
${gridLine(report, words)}
<h3>${escaped(words.byColour)}</h3>
${colourTable(report.rates, words)}
<h3>${escaped(words.judge)}</h3>
${judgeTable(report, words)}
<div class="charts">
${rankChart(report, words)}
${nearestChart(report, words)}
</div>
<h2>${escaped(words.hardest)}</h2>
${subjectTable(report, labels, words, language)}
<h2>${escaped(words.sheets)}</h2>
${GROUPS.map((group) => sheetsOf(group, report, labels, words, language)).join("\n")}
</body>
</html>`;
}

const FOUND = ["first", "five", "firstOfOwn", "fiveOfOwn", "firstOfSeed"] as const;
const MEASURES = ["background", "count", "relation", "grid"] as const;

/** What was found by features and all else; then what plain colours find. */
function rateTable(rates: readonly Summary[], words: PageWords): string {
  const head = ["group", "language", ...FOUND, ...MEASURES] as const;
  const rows = rates.map((row) => [
    ...namesOf(row, words),
    ...FOUND.map((name) => rateCell(row.features[name])),
    ...MEASURES.map((name) => rateCell(row[name])),
  ]);
  return table(
    head.map((name) => escaped(words.columns[name])),
    rows,
  );
}

function colourTable(rates: readonly Summary[], words: PageWords): string {
  const head = ["group", "language", ...FOUND] as const;
  const rows = rates
    .filter(({ colours }) => colours.first.count > 0)
    .map((row) => [...namesOf(row, words), ...FOUND.map((name) => rateCell(row.colours[name]))]);
  return table(
    head.map((name) => escaped(words.columns[name])),
    rows,
  );
}

function namesOf({ group, language }: Summary, words: PageWords): string[] {
  return [escaped(words.groups[group]), language === "all" ? escaped(words.allLanguages) : language];
}

/** What the judge makes of drawings, and what it says of itself. */
function judgeTable({ judge }: Report, words: PageWords): string {
  const { drawings, others, measured } = judge;
  const row = (name: string, { features, colours }: Told<Retrieval>) => [
    escaped(name),
    ...[features.first, features.five, colours.first, colours.five].map(rateCell),
  ];
  const head = ["", words.columns.first, words.columns.five, words.firstByColour, words.fiveByColour];
  const own = Object.entries(measured).map(([name, share]) => `${name}: ${percent(share)} %`);
  return `${table(head.map(escaped), [row(words.drawings, drawings), row(words.strangers, others)])}
<p>${escaped([words.ownFigures, ...own].join(" · "))}</p>`;
}

function gridLine({ grids }: Report, words: PageWords): string {
  return grids === undefined ? "" : `<p>${escaped(words.gridMedians(grids))}</p>`;
}

function rateCell({ share, low, high, count }: Rate): string {
  return count === 0 ? "" : `${percent(share)} <small>${percent(low)}–${percent(high)}, ${count}</small>`;
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}

function subjectTable(
  { bySubject }: Report,
  labels: Labels,
  words: PageWords,
  language: PageLanguage,
): string {
  const { first, five } = words.columns;
  const rows = bySubject
    .slice(0, HARDEST)
    .map((one) => [
      named(one.code, labels, language),
      rateCell(one.first),
      rateCell(one.five),
      one.takenFor.map((code) => named(code, labels, language)).join(", "),
    ]);
  return table([words.subject, first, five, words.looksLike].map(escaped), rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[], tag: string) =>
    `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join("")}</tr>`;
  return `<table>\n${line(head, "th")}\n${rows.map((row) => line(row, "td")).join("\n")}\n</table>`;
}

/** The drawn sign of a code, and its name where the model's list has it. */
function named(code: string, labels: Labels, language: PageLanguage): string {
  const sign = String.fromCodePoint(...code.split("-").map((point) => Number.parseInt(point, 16)));
  return escaped(`${sign} ${labels.get(code)?.[language] ?? ""}`.trim());
}

interface Line {
  readonly name: string;
  readonly values: readonly number[];
}

const [WIDTH, HEIGHT] = [320, 160];
const COLOURS = ["#2456c8", "#c83a24", "#2f8f4e", "#8a4fc0", "#b07a00", "#008a99", "#c0307c", "#555555"];

function rankChart({ curves }: Report, words: PageWords): string {
  const lines = curves.map(({ language, shares }) => ({
    name: `${language}: ${percent(shares[0] ?? 0)}, ${percent(shares[4] ?? 0)}`,
    values: shares,
  }));
  return chart(words.curves, lines, 1, `1–${curves[0]?.shares.length ?? 0} ${words.within}`);
}

function nearestChart({ nearest }: Report, words: PageWords): string {
  const middle = (values: readonly number[]) =>
    `${words.median} ${(values[(values.length - 1) / 2] ?? 0).toFixed(3)}`;
  const lines = [
    { name: `${words.modelPictures}: ${middle(nearest.pictures)}`, values: nearest.pictures },
    { name: `${words.freshDrawings}: ${middle(nearest.fresh)}`, values: nearest.fresh },
  ];
  const top = Math.max(...lines.flatMap(({ values }) => values));
  return chart(words.nearest, lines, top, words.nearestHow(nearest.library));
}

function chart(title: string, lines: readonly Line[], top: number, note: string): string {
  const paths = lines.map(({ values }, i) => {
    const points = values.map((value, x) => {
      const across = (x / (values.length - 1)) * WIDTH;
      return `${across.toFixed(1)},${(HEIGHT * (1 - value / (top || 1))).toFixed(1)}`;
    });
    return `<polyline points="${points.join(" ")}" fill="none" stroke="${colourOf(i)}" stroke-width="2"/>`;
  });
  const key = lines.map(({ name }, i) => `<span style="color:${colourOf(i)}">■</span> ${escaped(name)}`);
  return `<figure><h3>${escaped(title)}</h3><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}">${paths.join("")}</svg><figcaption>${key.join("<br>")}<br>${escaped(note)}</figcaption></figure>`;
}

function colourOf(line: number): string {
  return COLOURS[line % COLOURS.length]!;
}

function sheetsOf(
  group: Group,
  { pictures }: Report,
  labels: Labels,
  words: PageWords,
  language: PageLanguage,
): string {
  const mine = pictures.filter((picture) => picture.group === group);
  if (mine.length === 0) return "";
  const right = mine.filter((picture) => picture.right);
  const wrong = mine
    .filter((picture) => !picture.right)
    .sort((a, b) => (b.ranks?.features.hundred ?? 0) - (a.ranks?.features.hundred ?? 0));
  const sheet = (name: string, shown: readonly PictureFigures[], of: number) =>
    `<h4>${escaped(name)} (${of})</h4>\n<div class="sheet">\n${
      shown.length === 0
        ? escaped(words.none)
        : shown.map((one) => shownPicture(one, labels, words, language)).join("\n")
    }\n</div>`;
  return `<h3>${escaped(words.groups[group])}</h3>
${sheet(words.right, spread(right), right.length)}
${sheet(words.worst, wrong.slice(0, SHOWN), wrong.length)}`;
}

/** As many as a sheet shows, at equal distances: none is picked for its looks. */
function spread(pictures: readonly PictureFigures[]): readonly PictureFigures[] {
  const count = Math.min(SHOWN, pictures.length);
  return Array.from({ length: count }, (_, i) => pictures[Math.floor((i * pictures.length) / count)]!);
}

function shownPicture(
  { file, prompt, ranks, right }: PictureFigures,
  labels: Labels,
  words: PageWords,
  language: PageLanguage,
): string {
  const told = ranks?.features;
  const place =
    right || told === undefined || told.hundred === 0
      ? ""
      : `<br>${escaped(words.rank(told.hundred + 1))}, ${escaped(words.looksLike)} ${named(told.nearest, labels, language)}`;
  const text = escaped(prompt);
  return `<figure><img src="${encodeURI(file)}" alt="${text}" loading="lazy"><figcaption>${text}${place}</figcaption></figure>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
