import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { expect, test } from "vitest";
import { decodePicture } from "../../src/image/mod.ts";
import { drawMask, holeRatio } from "../../src/masks/mod.ts";
import { runHere, temporaryFolder } from "./test-support.ts";

test("masks: pictures, the specs that draw them again, and a sheet; a seed gives the same files", async () => {
  const folder = temporaryFolder();
  const args = ["--count", "5", "--size", "64x48", "--seed", "3"];
  const { code, stdout, stderr } = await runHere(["masks", join(folder, "a/b"), ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(/^5 masks in .*a.b, all on one sheet: .*sheet.png\nholes: mean \d+(\.\d)?%, /);
  await runHere(["masks", join(folder, "again"), ...args]);
  const names = readdirSync(join(folder, "a/b"));
  expect(names.length).toBe(11);
  for (const name of names) {
    expect(
      readFileSync(join(folder, "a/b", name)).equals(readFileSync(join(folder, "again", name))),
      name,
    ).toBe(true);
  }
  for (const name of names.filter((one) => one.endsWith(".json"))) {
    const { holes, seed, index, ...spec } = JSON.parse(readFileSync(join(folder, "a/b", name), "utf8"));
    const picture = await decodePicture(readFileSync(join(folder, "a/b", name.replace("json", "png"))));
    const mask = drawMask(spec);
    expect([picture.width, picture.height, seed, `mask-000${index + 1}.json`]).toEqual([64, 48, 3, name]);
    const red = picture.data.filter((_, i) => i % 3 === 0);
    expect(
      Buffer.compare(
        red,
        mask.data.map((hole) => 255 * hole),
      ),
    ).toBe(0);
    expect(holes).toBe(holeRatio(mask));
  }
});

test("masks: many become small on the sheet, in Russian too", async () => {
  const folder = join(temporaryFolder(), "m");
  const args = ["--kind", "everything", "--count", "10", "--size", "2000x20", "--lang", "ru"];
  const { code, stdout } = await runHere(["masks", folder, ...args]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^10 масок в /);
  expect(stdout).toContain("100");
  const sheet = await decodePicture(readFileSync(join(folder, "sheet.png")));
  expect([sheet.width, sheet.height]).toEqual([4096, 30]);
});

test("masks: objects give their shape; the spec names the picture", async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "icons"));
  const disc = sharp({ create: { width: 40, height: 40, channels: 4, background: "#0000" } }).composite([
    { input: Buffer.from('<svg width="40" height="40"><circle cx="20" cy="20" r="12"/></svg>') },
  ]);
  writeFileSync(join(folder, "icons/disc.png"), await disc.png().toBuffer());
  writeFileSync(join(folder, "icons/notes.txt"), "no picture");
  const out = join(folder, "out");
  const args = ["--kind", "object", "--objects", join(folder, "icons"), "--count", "3", "--size", "64x64"];
  const { code, stderr } = await runHere(["masks", out, ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  for (const n of [1, 2, 3]) {
    const { layers, holes } = JSON.parse(readFileSync(join(out, `mask-000${n}.json`), "utf8"));
    expect([layers[0].shape, layers[0].id]).toEqual(["object", join(folder, "icons/disc.png")]);
    // The disc fills 0.28 of its frame, 0.16 to 0.44 in the sizes drawn, more or less closely followed.
    expect(holes > 0.1 && holes < 0.9, `${holes}`).toBe(true);
  }
  const opaque = await sharp({ create: { width: 4, height: 4, channels: 3, background: "red" } })
    .png()
    .toBuffer();
  writeFileSync(join(folder, "photo.png"), opaque);
  for (const [path, said] of [
    ["photo.png", "this picture shows no object"],
    ["none.png", "cannot find the picture"],
    ["icons/notes.txt", "cannot read the picture"],
    ["empty", "the folder holds no pictures"],
  ] as const) {
    mkdirSync(join(folder, "empty"), { recursive: true });
    const wrong = await runHere(["masks", join(folder, "x"), "--objects", join(folder, path)]);
    expect([wrong.code, wrong.stderr.includes(said), wrong.stderr.includes(path)], wrong.stderr).toEqual([
      2,
      true,
      true,
    ]);
  }
});

test.each([
  ["an unknown kind", ["--kind", "laso"], "did you mean lasso?", "может быть, lasso?"],
  ["a kind that needs pictures", ["--kind", "object"], "transparent background", "прозрачным фоном"],
  ["no masks", ["--count", "0"], "a whole number from 1", "целое число от 1"],
  ["too large ones", ["--size", "99999x99999"], "at most 100 million", "не больше 100"],
  ["too small ones", ["--kind", "ellipse", "--size", "1x1"], "take a larger size", "возьмите больший размер"],
])("masks: %s is a mistake that leaves nothing", async (_, args, said, inRussian) => {
  const folder = join(temporaryFolder(), "out");
  const english = await runHere(["masks", folder, ...args]);
  expect([english.code, english.stdout]).toEqual([2, ""]);
  expect(english.stderr).toContain(said);
  const russian = await runHere(["masks", folder, ...args, "--lang", "ru"]);
  expect(russian.stderr).toContain(inRussian);
  expect(existsSync(folder)).toBe(false);
});

test("masks: a folder in use and a file in its place are left as they are", async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "mine.txt"), "x");
  mkdirSync(join(folder, "empty"));
  const used = await runHere(["masks", folder, "--count", "1"]);
  expect([used.code, used.stderr.includes("is not empty")]).toEqual([2, true]);
  const taken = await runHere(["masks", join(folder, "mine.txt"), "--count", "1"]);
  expect([taken.code, taken.stderr.includes("cannot make the output folder")]).toEqual([2, true]);
  expect((await runHere(["masks", join(folder, "empty"), "--count", "1"])).code).toBe(0);
  expect(readdirSync(folder).sort()).toEqual(["empty", "mine.txt"]);
});
