import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { Kandinsky3 } from "../pipelines/mod.ts";
import { startEngine } from "../runtime/mod.ts";
import { readMasterSheet, readSubjects } from "../scenes/mod.ts";
import { JUDGE_FOLDER, openClassifier } from "./classifier.node.ts";
import { type EvaluationEvent, type EvaluationRequest, evaluateModel } from "./evaluate.node.ts";

const GOLDEN = fileURLToPath(new URL("../../../golden/", import.meta.url));
const SHEET: readonly string[] = JSON.parse(readFileSync(`${GOLDEN}scenes/codes.json`, "utf8"));
const masters = new Map([
  ...(await readMasterSheet(`${GOLDEN}scenes/noto.webp`, "noto", SHEET)),
  ...(await readMasterSheet(`${GOLDEN}scenes/flat.webp`, "flat", SHEET)),
]);
const subjects = (await readSubjects()).filter(({ code, heldOut }) => SHEET.includes(code) && !heldOut);

const engine = await startEngine({ device: "cpu", threads: 1 });
afterAll(() => engine[Symbol.asyncDispose]());
const classifier = await openClassifier(JUDGE_FOLDER, engine);

function requestOf(model: Kandinsky3, folder: string): EvaluationRequest {
  return {
    ...{ model, masters, codes: SHEET, folder, classifier, seedCodes: SHEET },
    questions: { subjects, alone: subjects.slice(0, 1), languages: ["en", "ru"], seeds: [0], scenes: 1 },
    ...{ width: 64, height: 64, steps: 1, language: "ru" },
  };
}

async function eventsOf(request: EvaluationRequest): Promise<EvaluationEvent[]> {
  const events: EvaluationEvent[] = [];
  for await (const event of evaluateModel(request)) events.push(event);
  return events;
}

test("evaluateModel draws, goes on after a stop, and refuses another's folder", {
  timeout: 240_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "kandinsky-evaluation-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  await using model = await Kandinsky3.load({ model: `${GOLDEN}tiny-k3`, threads: 1, cache: false });
  const request = requestOf(model, folder);
  const controller = new AbortController();
  const stopped = (async () => {
    for await (const event of evaluateModel({ ...request, signal: controller.signal })) {
      if (event.type === "drawn") controller.abort();
    }
  })();
  await expect(stopped).rejects.toMatchObject({ code: "cancelled" });
  const kept = readdirSync(join(folder, "pictures"));
  expect(kept.length).toBeGreaterThanOrEqual(1);
  const events = await eventsOf(request);
  expect(events[0]).toMatchObject({ type: "start", known: kept.length });
  const pictures = readdirSync(join(folder, "pictures"));
  const last = events.at(-1)!;
  if (last.type !== "report") throw new Error(`the last event is ${last.type}`);
  const { report } = last;
  expect(report).toEqual(JSON.parse(readFileSync(join(folder, "report.json"), "utf8")));
  expect(new Set(report.pictures.map(({ file }) => file))).toEqual(
    new Set(pictures.map((name) => `pictures/${name}`)),
  );
  // One subject in two languages, and a scene of every other group.
  expect(
    report.rates.find(({ group, language }) => group === "subject" && language === "all")!.features.five
      .count,
  ).toBe(2);
  expect(report.pictures.filter(({ group }) => group !== "subject").length).toBeGreaterThanOrEqual(4);
  expect(report.curves.map(({ language }) => language)).toEqual(["en", "ru"]);
  expect(report.nearest.fresh.at(-1)).toBeGreaterThan(0);
  expect(report.judge.drawings.features.first.count).toBe(200);
  expect(report.grids?.pictures).toBe(1);
  const page = readFileSync(join(folder, "index.html"), "utf8");
  for (const { file } of report.pictures) expect(page).toContain(`src="${file}"`);
  expect(page).toContain("ровная сетка");
  const again = await eventsOf(request);
  expect(again[0]).toMatchObject({ known: pictures.length, pictures: pictures.length });
  expect(again.filter(({ type }) => type === "drawn")).toEqual([]);
  await expect(eventsOf({ ...request, steps: 2 })).rejects.toMatchObject({ code: "output_exists" });
});
