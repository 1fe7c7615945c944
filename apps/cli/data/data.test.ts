import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { listSamples, readStretch } from "../../../src/data/mod.ts";
import { decodePicture, encodePixels } from "../../../src/image/mod.ts";
import { composeScene, openMasters, readSubjects, STYLES } from "../../../src/scenes/mod.ts";
import { runHere, temporaryFolder } from "../test-support.ts";

/** A folder with an icon set of coloured squares where the real one would be installed. */
async function iconFolder(): Promise<string> {
  const folder = temporaryFolder();
  const set = join(folder, "icons", "node_modules", STYLES.noto.package);
  const codes = (await readSubjects()).map(({ code }) => code);
  mkdirSync(set, { recursive: true });
  const write = (name: string, json: unknown) => writeFileSync(join(set, name), JSON.stringify(json));
  write("package.json", { version: STYLES.noto.version });
  write("chars.json", Object.fromEntries(codes.map((code) => [code.toLowerCase(), code])));
  const square = (i: number) => ({ body: `<rect width="16" height="16" fill="hsl(${i * 11} 70% 50%)"/>` });
  write("icons.json", { icons: Object.fromEntries(codes.map((code, i) => [code, square(i)])) });
  return folder;
}

test("data nano: shards with pictures, captions, truth and licences, the same for the same seed", async () => {
  const cache = await iconFolder();
  const args = (out: string, seed: string) => [
    ...["data", "nano", out, "--count", "10", "--shard", "4", "--size", "48"],
    ...["--seed", seed, "--styles", "noto", "--cache", cache],
  ];
  const folder = temporaryFolder();
  const [a, b, c] = ["a", "b", "c"].map((name) => join(folder, name));
  const { code, stdout, stderr } = await runHere(args(a!, "5"));
  expect({ code, stderr }).toEqual({ code: 0, stderr: "drawing the icons of noto\n" });
  expect(stdout).toBe(
    `10 pictures in 3 shards in ${join(a!, "shards")}, the first on one sheet: ${join(a!, "sheet.png")}\n`,
  );
  const names = ["licences.json", ...[0, 1, 2].map((n) => `scenes-00000${n}.tar`)];
  expect(readdirSync(join(a!, "shards")).sort()).toEqual(names);
  expect(readdirSync(a!).sort()).toEqual(["shards", "sheet.png"]);
  expect(JSON.parse(readFileSync(join(a!, "shards", "licences.json"), "utf8"))).toMatchObject({
    pictures: 10,
    sets: [{ style: "noto", licence: "Apache-2.0" }],
  });

  await runHere(args(b!, "5"));
  await runHere(args(c!, "6"));
  const shard = (out: string) => readFileSync(join(out, "shards", "scenes-000001.tar"));
  expect(shard(b!).equals(shard(a!))).toBe(true);
  expect(shard(c!).equals(shard(a!))).toBe(false);

  const codes = (await readSubjects()).map((subject) => subject.code);
  const masters = await openMasters({ folder: cache, codes, styles: ["noto"] });
  const samples = await listSamples([join(a!, "shards")]);
  expect(samples.length).toBe(10);
  for (const { picture, texts } of samples) {
    const told = JSON.parse(new TextDecoder().decode(await readStretch(texts["json"]!)));
    expect(new Set(told.captions.map(({ language }: { language: string }) => language)).size).toBe(15);
    expect(told.source).toMatchObject({ licence: "Apache-2.0", package: STYLES.noto.package });
    // The spec redraws the picture.
    expect(composeScene(told.scene, masters, 48)).toEqual(await decodePicture(await readStretch(picture)));
  }
});

test("data refuses what it does not know before it makes a folder", async () => {
  const folder = join(temporaryFolder(), "out");
  for (const [args, message] of [
    [["data", "micro", folder], 'kandinsky data: seen "micro"'],
    [["data", "nano", folder, "--split", "trian"], "did you mean train?"],
    [["data", "nano", folder, "--styles", "noto,oil"], '--styles: seen "oil"'],
    [["data", "nano", folder, "--size", "512"], "--size: seen 512, wanted 16 to 128"],
  ] as const) {
    const { code, stderr } = await runHere(args);
    expect({ code, told: stderr.includes(message) }, stderr).toEqual({ code: 2, told: true });
  }
  expect(existsSync(folder)).toBe(false);
  const full = temporaryFolder();
  cpSync(join(await iconFolder(), "icons"), join(full, "icons"), { recursive: true });
  expect((await runHere(["data", "nano", full])).stderr).toContain("the output folder is not empty");
});

test("data look: sizes, languages and what is left out, on the terminal and as JSON", async () => {
  const folder = temporaryFolder();
  const square = (side: number) =>
    encodePixels({ width: side, height: side, data: new Uint8Array(3 * side * side).fill(9) }, "png");
  writeFileSync(join(folder, "fox.png"), await square(40));
  writeFileSync(
    join(folder, "fox.json"),
    JSON.stringify({ captions: { en: "a fox", ru: ["лиса", "рыжая лиса"] } }),
  );
  writeFileSync(join(folder, "owl.png"), await square(64));
  writeFileSync(join(folder, "owl.ru.txt"), "сова");
  writeFileSync(join(folder, "bare.png"), await square(32));
  writeFileSync(join(folder, "cut.png"), (await square(50)).subarray(0, 60));
  const { code, stdout } = await runHere(["data", "look", folder]);
  expect(code).toBe(0);
  const lines = stdout.split("\n");
  expect(lines.slice(0, 4)).toEqual([
    "2 pictures to train on, from 40x40 to 64x64",
    "captions: en 1, ru 3",
    "left out: 2",
    "  bare.png: no caption, no text beside it",
  ]);
  expect(lines[4]).toMatch(/^ {2}cut\.png: cannot be read, /);
  const json = JSON.parse((await runHere(["data", "look", folder, "--captions", "empty", "--json"])).stdout);
  expect(json).toMatchObject({ pictures: 3, captions: { en: 1, ru: 3 }, skipped: [{ key: "cut.png" }] });
  const failed = await runHere(["data", "look", folder, "--captions", "error"]);
  expect(
    { code: failed.code, told: failed.stderr.includes("a picture has no caption: bare.png") },
    failed.stderr,
  ).toEqual({
    code: 2,
    told: true,
  });
  const russian = await runHere(["data", "look", folder, "--captions", "error", "--lang", "ru"]);
  expect(russian.stderr).toContain("у картинки нет подписи: bare.png");
  expect((await runHere(["data", "nano", folder, folder])).code).toBe(2);
});
