import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { keyOf } from "../random/mod.ts";
import { NANO_CAPTIONS } from "./captions.ts";
import { composeScene } from "./compose.ts";
import { openMasters } from "./masters.node.ts";
import { NANO_SCENES } from "./spec.ts";
import { openSceneStream, type SceneBatch, type SceneStreamOptions } from "./stream.node.ts";
import { STYLES } from "./styles.ts";
import { readSubjects } from "./subjects.node.ts";

let folder: string;
let options: SceneStreamOptions;

// An icon set of coloured discs, so that no package is needed.
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kandinsky-scenes-"));
  const subjects = (await readSubjects()).filter((_, i) => i % 7 === 0);
  const set = join(folder, "icons", "node_modules", STYLES.noto.package);
  await mkdir(set, { recursive: true });
  const disc = (i: number) => ({ body: `<circle cx="8" cy="8" r="7" fill="hsl(${i * 9} 80% 50%)"/>` });
  await writeFile(join(set, "package.json"), JSON.stringify({ version: STYLES.noto.version }));
  await writeFile(
    join(set, "chars.json"),
    JSON.stringify(Object.fromEntries(subjects.map(({ code }) => [code.toLowerCase(), code]))),
  );
  await writeFile(
    join(set, "icons.json"),
    JSON.stringify({ icons: Object.fromEntries(subjects.map(({ code }, i) => [code, disc(i)])) }),
  );
  options = {
    subjects,
    scenes: { ...NANO_SCENES, styles: { noto: 1 } },
    captions: NANO_CAPTIONS,
    folder,
    buckets: [
      { width: 32, height: 32 },
      { width: 48, height: 32 },
    ],
    batch: 8,
    key: keyOf(6),
    rank: { rank: 0, world: 1 },
    first: 0,
    workers: 2,
    depth: 2,
  };
});

afterAll(() => rm(folder, { recursive: true }));

async function take(changes: Partial<SceneStreamOptions>, count: number): Promise<SceneBatch[]> {
  const stream = await openSceneStream({ ...options, ...changes });
  try {
    const batches: SceneBatch[] = [];
    while (batches.length < count) batches.push(await stream.next());
    expect(stream.waiting().taken).toBe(count);
    return batches;
  } finally {
    await stream.close();
  }
}

test("openSceneStream draws what composeScene draws, in sizes of its buckets", async () => {
  const masters = await openMasters({
    folder,
    codes: options.subjects.map(({ code }) => code),
    styles: ["noto"],
  });
  const batches = await take({}, 10);
  for (const { pictures, specs, captions, bucket } of batches) {
    expect([pictures.length, captions.length]).toEqual([8, 8]);
    for (const [i, spec] of specs.entries()) {
      expect(pictures[i]).toEqual(composeScene(spec, masters, bucket.width, bucket.height));
    }
  }
  expect(new Set(batches.map(({ bucket }) => bucket.width)).size).toBe(2);
});

test("openSceneStream goes on at any batch, and ranks make up the batch of one process", async () => {
  const whole = await take({}, 6);
  expect(await take({ first: whole[2]!.next, workers: 1, depth: 1 }, 3)).toEqual(whole.slice(3));
  const [first, second] = await Promise.all([0, 1].map((rank) => take({ rank: { rank, world: 2 } }, 6)));
  for (const [i, { pictures, captions, specs }] of whole.entries()) {
    expect([...first![i]!.pictures, ...second![i]!.pictures]).toEqual(pictures);
    expect([...first![i]!.captions, ...second![i]!.captions]).toEqual(captions);
    expect([...first![i]!.specs, ...second![i]!.specs]).toEqual(specs);
  }
});

test("a pool of batches comes again with other captions", async () => {
  const [first, second, again] = await take({ pool: 2 }, 3);
  expect(again!.pictures).toEqual(first!.pictures);
  expect(again!.specs).toEqual(first!.specs);
  expect(again!.captions).not.toEqual(first!.captions);
  expect(second!.specs).not.toEqual(first!.specs);
  const endless = await take({}, 3);
  expect([first, second].map((one) => one!.captions)).toEqual(endless.slice(0, 2).map((one) => one.captions));
  expect(endless[2]!.specs).not.toEqual(first!.specs);
});
