import { createHash } from "node:crypto";
import { access, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { KandinskyError } from "../base/mod.ts";
import { encodePixels, saveFile, saveText } from "../image/mod.ts";
import type { Kandinsky3 } from "../pipelines/mod.ts";
import { foldIn, type Key } from "../random/mod.ts";
import { composeScene, drawSpec, type Masters, NANO_SCENES, type Subject } from "../scenes/mod.ts";
import type { Classifier } from "./classifier.node.ts";
import { type Features, featuresOf, nearestFeatures } from "./features.ts";
import { judgeFiles, openJudging } from "./judging.node.ts";
import { evaluationPage } from "./page.ts";
import type { PageLanguage } from "./page-words.ts";
import { EVALUATION_ROOT, hasScenes, type Question, type QuestionOptions, questionsOf } from "./questions.ts";
import { figuresOf, type Judged, quantilesOf, type Report } from "./report.ts";

/** What is asked of which model, and where pictures and report go. */
export interface EvaluationRequest {
  readonly model: Kandinsky3;
  readonly questions: Omit<QuestionOptions, "key">;
  /** Drawings of the model's subjects, and of those that they are ranked among. */
  readonly masters: Masters;
  /** Codes that there are masters of. */
  readonly codes: readonly string[];
  /** Codes of the seed model's subjects. */
  readonly seedCodes: readonly string[];
  /** Tells what single subjects are like. */
  readonly classifier: Classifier;
  /** Goes on where it holds pictures of an earlier run with equal settings. */
  readonly folder: string;
  readonly width: number;
  readonly height: number;
  readonly steps: number;
  /** The model's own by default. */
  readonly guidance?: number;
  /** Of the page. */
  readonly language: PageLanguage;
  readonly signal?: AbortSignal;
}

/** How an evaluation goes on. */
export type EvaluationEvent =
  /** Pictures in all, and those that an earlier run has drawn. */
  | { readonly type: "start"; readonly pictures: number; readonly known: number }
  | { readonly type: "drawn"; readonly done: number; readonly pictures: number; readonly secondsLeft: number }
  | { readonly type: "judged"; readonly done: number; readonly pictures: number }
  | { readonly type: "report"; readonly report: Report; readonly file: string; readonly page: string };

/** Scenes of the data that pictures are compared with, and as many that are not among them as tell what is usual. */
const LIBRARY = 4000;
const FRESH = 400;
/** Side of those scenes: features are means of larger areas. */
const SCENE_SIDE = 32;

const [ASKED, SEEN, UNSEEN] = [0, 2, 3].map((n) => foldIn(EVALUATION_ROOT, n)) as [Key, Key, Key];

/**
 * Draws what a small model is asked for, judges it and writes `report.json` and `index.html`. Every picture is a file as
 * soon as it is drawn. Throws `output_exists` where the folder holds pictures of another model or other settings,
 * `cancelled` when the signal comes.
 */
export async function* evaluateModel(
  request: EvaluationRequest,
): AsyncGenerator<EvaluationEvent, void, void> {
  const { model, folder } = request;
  const questions = questionsOf({ ...request.questions, key: ASKED });
  const settings = await settle(request);
  yield* drawMissing(request, questions);
  const { subjects, alone, languages, seeds } = request.questions;
  const library = trainingFeatures(SEEN, LIBRARY, subjects, request.masters);
  const judging = openJudging({ ...request, subjects });
  const judged: Judged[] = [];
  const verdicts = judgeFiles(judging, questions, pictureFile, folder, request.signal);
  for await (const { question, verdict, picture } of verdicts) {
    const { distance: nearest } = nearestFeatures(featuresOf(picture), library);
    judged.push({ question, verdict, file: pictureFile(question), nearest });
    yield { type: "judged", done: judged.length, pictures: questions.length };
  }
  const fresh = trainingFeatures(UNSEEN, FRESH, subjects, request.masters);
  const { name, fingerprint } = model.info;
  const report: Report = {
    model: { name, fingerprint },
    settings,
    languages,
    seeds,
    subjects: { listed: subjects.length, asked: alone.length },
    ...figuresOf(judged),
    judge: await judging.ofDrawings(alone, request.width),
    nearest: {
      library: LIBRARY,
      pictures: quantilesOf(judged.map(({ nearest }) => nearest)),
      fresh: quantilesOf(fresh.map((features) => nearestFeatures(features, library).distance)),
    },
  };
  const [file, page] = [join(folder, "report.json"), join(folder, "index.html")];
  const labels = new Map(subjects.map((subject) => [subject.code, subject.labels]));
  await saveText(file, `${JSON.stringify(report, undefined, 1)}\n`);
  await saveText(page, evaluationPage(report, labels, request.language));
  yield { type: "report", report, file, page };
}

/** What makes pictures what they are, kept beside them. */
async function settle({
  model,
  folder,
  width,
  height,
  steps,
  guidance,
}: EvaluationRequest): Promise<Readonly<Record<string, unknown>>> {
  const job = await model.resolve({
    ...{ prompt: "", seed: 0, width, height, steps },
    ...(guidance === undefined ? {} : { guidance }),
  });
  const { pictures: _, ...drawing } = job;
  const settings = { fingerprint: model.info.fingerprint, loras: model.info.loras, ...drawing };
  const file = join(folder, "settings.json");
  await mkdir(join(folder, "pictures"), { recursive: true });
  const before = await readFile(file, "utf8").catch(() => undefined);
  const wanted = JSON.stringify(settings, undefined, 1);
  if (before === undefined) await saveText(file, `${wanted}\n`);
  else if (before.trim() !== wanted) {
    throw new KandinskyError("output_exists", {
      what: "the folder holds pictures of another model or other settings",
      where: folder,
      hint: "name a new folder",
    });
  }
  return settings;
}

/** The picture hangs on prompt and seed alone, so other languages or fewer subjects use those that are there. */
function pictureFile({ prompt, seed }: Question): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([prompt, seed]))
    .digest("hex");
  return `pictures/${hash.slice(0, 16)}.png`;
}

async function* drawMissing(
  request: EvaluationRequest,
  questions: readonly Question[],
): AsyncGenerator<EvaluationEvent, void, void> {
  const { model, folder, width, height, steps, guidance, signal } = request;
  const byFile = new Map(questions.map((question) => [pictureFile(question), question]));
  const files = [...byFile.keys()];
  const present = await Promise.all(files.map((file) => exists(join(folder, file))));
  const missing = files.filter((_, i) => !present[i]);
  const known = files.length - missing.length;
  yield { type: "start", pictures: files.length, known };
  if (missing.length === 0) return;
  const asked = missing.map((file) => byFile.get(file)!);
  const drawing = model.generate(
    {
      prompt: asked.map(({ prompt }) => prompt),
      seed: asked.map(({ seed }) => seed),
      ...{ width, height, steps },
      ...(guidance === undefined ? {} : { guidance }),
    },
    signal === undefined ? {} : { signal },
  );
  let drawn = 0;
  let begun = 0;
  let since = performance.now();
  for await (const event of drawing) {
    if (event.type === "stage" && event.stage === "denoise") {
      // Loading and what is done once for all are no part of the pace; pictures are drawn some at once.
      if (begun === 0) since = performance.now();
      begun += event.pictures.length;
    }
    if (event.type !== "picture") continue;
    const file = join(folder, missing[event.job.index]!);
    await saveFile(file, await encodePixels(event.picture, "png"), { overwrite: true });
    drawn += 1;
    const pace = (performance.now() - since) / 1000 / begun;
    const secondsLeft = pace * (missing.length - drawn);
    yield { type: "drawn", done: known + drawn, pictures: files.length, secondsLeft };
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function trainingFeatures(
  key: Key,
  count: number,
  subjects: readonly Subject[],
  masters: Masters,
): Features[] {
  const styles = Object.fromEntries(subjects.map(({ style }) => [style, 1]));
  const kinds = hasScenes({ kind: "relation", split: "train" }, subjects)
    ? NANO_SCENES.kinds
    : { ...NANO_SCENES.kinds, relation: 0 };
  return Array.from({ length: count }, (_, i) =>
    featuresOf(
      composeScene(
        drawSpec(foldIn(key, i), subjects, { ...NANO_SCENES, kinds, styles }),
        masters,
        SCENE_SIDE,
      ),
    ),
  );
}
