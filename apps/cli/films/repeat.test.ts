import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { encodePixels } from "../../../src/image/mod.ts";
import { runCli, runHere, TINY, temporaryFolder } from "../test-support.ts";
import { filmAt } from "./repeat.ts";

/** Every file of a folder but `film.json`, which says where the film's picture lies. */
function contents(folder: string): Record<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && entry.name !== "film.json");
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort();
  return Object.fromEntries(
    paths.map((path) => [path.slice(folder.length), readFileSync(path).toString("base64")]),
  );
}

async function made(cwd: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await runCli([...args, "--model", TINY], { cwd });
  expect(code, stderr).toBe(0);
}

test("kandinsky repeat makes a film again from any of its files, byte for byte", {
  timeout: 240_000,
}, async () => {
  const cwd = temporaryFolder();
  const args = [
    "animate",
    "a fox",
    "--at",
    "2: a wolf",
    "--frames",
    "4",
    "--steps",
    "2",
    "--strength",
    "0.5",
  ];
  await made(cwd, [...args, "--seed", "5", "--film", "a.mp4", "--output", "one"]);
  const film = await filmAt(join(cwd, "one"));
  expect(film?.description).toMatchObject({ operation: "animate", request: { seed: 5 } });
  for (const name of ["a.mp4", "frames/000003.png", "drawn/000000.png", "drawn/000002.png"]) {
    expect(await filmAt(join(cwd, "one", name)), name).toEqual({ ...film, inputs: [] });
  }
  // Times of creation in an MP4 are whole seconds.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await made(cwd, ["repeat", "one/a.mp4", "--output", "two"]);
  expect(contents(join(cwd, "two"))).toEqual(contents(join(cwd, "one")));
});

test("kandinsky repeat makes a zoom again, with the picture that it began with", {
  timeout: 240_000,
}, async () => {
  const cwd = temporaryFolder();
  const data = Uint8Array.from({ length: 3 * 64 * 64 }, (_, i) => (7 * i) % 230);
  writeFileSync(join(cwd, "photo.png"), await encodePixels({ width: 64, height: 64, data }, "png"));
  const args = ["zoom", "a house", "--image", "photo.png", "--keys", "2", "--seconds-per-key", "0.1"];
  const format = ["--fps", "20", "--steps", "1", "--size", "64x64", "--seed", "3"];
  await made(cwd, [...args, ...format, "--film", "z.gif", "--output", "one"]);
  const elsewhere = temporaryFolder();
  copyFileSync(join(cwd, "one/z.gif"), join(elsewhere, "z.gif"));
  const repeat = ["repeat", "z.gif", "--model", TINY];
  const lost = await runCli(repeat, { cwd: elsewhere });
  expect([lost.code, lost.stderr]).toEqual([2, expect.stringContaining("--input")]);
  await made(elsewhere, [...repeat, "--input", join(cwd, "photo.png"), "--output", "two"]);
  expect(contents(join(elsewhere, "two"))).toEqual(contents(join(cwd, "one")));
  // A folder knows where its picture lies.
  await made(elsewhere, ["repeat", join(cwd, "one"), "--output", "three"]);
  expect(contents(join(elsewhere, "three"))).toEqual(contents(join(cwd, "one")));
});

test("kandinsky repeat says what it cannot make again", async () => {
  const cwd = temporaryFolder();
  const text = (name: string) => {
    writeFileSync(join(cwd, name), "no film");
    return join(cwd, name);
  };
  for (const [path, message] of [
    [cwd, "no film to go on with"],
    [text("a.webm"), "cannot read the film"],
    [text("a.gif"), "holds no settings"],
    [text("a.webp"), "cannot read the settings"],
    [join(cwd, "none.mp4"), "check the name"],
    [join(cwd, "none.png"), "cannot read the picture"],
  ] as const) {
    const { code, stderr } = await runHere(["repeat", path, "--model", TINY]);
    expect([code, stderr], path).toEqual([2, expect.stringContaining(message)]);
  }
});
