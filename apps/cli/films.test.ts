import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { drawsOf, keyOf } from "../../src/random/mod.ts";
import { inspectFilm } from "../../src/video/mod.ts";
import { runCli, runHere, startCli, TINY, temporaryFolder } from "./test-support.ts";

const QUICK = ["--model", TINY, "--steps", "2", "--seed", "5", "--fps", "12"];

/** Every file of a folder by its path there, but what a killed process left half written. */
function contents(folder: string): Record<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && !entry.name.endsWith(".tmp"));
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort();
  return Object.fromEntries(
    paths.map((path) => [path.slice(folder.length), readFileSync(path).toString("base64")]),
  );
}

/**
 * Makes a film in one go, and another time killing the process at random moments: some events after it has gone on,
 * within a step, between files, while one is written. Returns both folders' files, and how often it was killed.
 */
async function madeTwice(args: readonly string[], wanted: number) {
  const cwd = temporaryFolder();
  const whole = await runCli([...args, "--output", "whole"], { cwd });
  expect(whole.code, whole.stderr).toBe(0);
  const random = drawsOf(keyOf(wanted));
  const goOn = [args[0]!, "--resume", "killed"];
  let line: readonly string[] = [...args, "--output", "killed"];
  let kills = 0;
  for (; kills < wanted; kills++) {
    const after = random.whole(1, 9);
    const delay = random.uniform(0, 30);
    let seen = 0;
    const run = startCli([...line, "--json"], {
      cwd,
      onOutput: (text) => {
        const before = seen;
        seen += text.split("\n").length - 1;
        if (before < after && seen >= after) setTimeout(() => run.kill("SIGKILL"), delay);
      },
    });
    const { code, stderr } = await run.outcome;
    if (code === 0) break;
    expect(code, stderr).toBeNull();
    if (existsSync(join(cwd, "killed", "film.json"))) line = goOn;
  }
  const end = await runCli(goOn, { cwd });
  expect(end.code, end.stderr).toBe(0);
  const files = (name: string) => contents(join(cwd, name));
  return { kills, film: join(cwd, "killed", "film.webm"), whole: files("whole"), killed: files("killed") };
}

test("kandinsky animate killed at 20 random moments makes the film that an uninterrupted run makes", {
  timeout: 600_000,
}, async () => {
  const args = ["animate", "a fox", "--at", "9: a wolf", ...QUICK, "--strength", "0.4"];
  const made = await madeTwice([...args, "--frames", "40", "--camera", "spin_clockwise:4"], 20);
  expect(made.killed).toEqual(made.whole);
  expect(made.kills).toBe(20);
  expect((await inspectFilm(made.film)).seconds).toBeCloseTo(40 / 12, 3);
});

test("kandinsky zoom killed at random moments makes the film that an uninterrupted run makes", {
  timeout: 300_000,
}, async () => {
  const args = ["zoom", "a fox", "--around", "a wood", "--keys", "4", "--seconds-per-key", "0.5", ...QUICK];
  const made = await madeTwice([...args, "--there-and-back"], 5);
  expect(made.killed).toEqual(made.whole);
  expect(made.kills).toBe(5);
  expect((await inspectFilm(made.film)).seconds).toBeCloseTo((2 * 19 - 2) / 12, 3);
});

test.each([
  [["--keys", "1"], "keys"],
  [["--ratio-per-key", "4"], "ratio"],
  [["--seconds-per-key", "0"], "tweens"],
  [["--easing", "bounce"], "linear, in, out, in-out"],
  [["--hold", "-1"], "hold"],
  [["--fps", "0"], "frame rate"],
] as const)("kandinsky zoom refuses %j before anything is drawn", async (options, message) => {
  const folder = join(temporaryFolder(), "film");
  const { code, stderr } = await runHere(["zoom", "a cat", "--model", TINY, "--output", folder, ...options]);
  expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  expect(existsSync(folder)).toBe(false);
});

test("kandinsky zoom wants a prompt or a picture, and its own folder to go on", async () => {
  expect((await runHere(["zoom", "--model", TINY])).stderr).toContain("a zoom needs a prompt or a picture");
  const folder = join(temporaryFolder(), "film");
  const animate = ["animate", "a cat", "--model", TINY, "--frames", "1", "--steps", "1", "--output", folder];
  expect((await runCli(animate)).code).toBe(0);
  const { code, stderr } = await runHere(["zoom", "--resume", folder]);
  expect([code, stderr]).toEqual([2, expect.stringContaining("of another command")]);
});

test("kandinsky animate reads Deforum's settings, tells unknown keys, and Ctrl-C says how to go on", {
  timeout: 120_000,
}, async () => {
  const cwd = temporaryFolder();
  const settings = {
    W: 100,
    H: 64,
    max_frames: 3,
    fps: 8,
    steps: 2,
    seed: 4,
    scale: 1,
    animation_mode: "2D",
  };
  const motion = {
    zoom: "0: (1.02)",
    prompts: { "0": "a cat" },
    strength_schedule: "0: (0.5)",
    hybrid_motion: "None",
  };
  writeFileSync(join(cwd, "deforum.txt"), JSON.stringify({ ...settings, ...motion, banana: 1 }));
  const args = ["animate", "--settings", "deforum.txt", "--model", TINY, "--output", "f", "--film", "a.gif"];
  let isStopped = false;
  const run = startCli([...args, "--json"], {
    cwd,
    onOutput: (text) => {
      // Once: a second one ends it at once.
      if (isStopped || !text.includes('"drawn"')) return;
      isStopped = true;
      run.kill("SIGINT");
    },
  });
  const stopped = await run.outcome;
  expect(stopped.code, stopped.stderr).toBe(130);
  expect(stopped.stderr).toContain("deforum.txt has keys that nobody knows: banana");
  expect(stopped.stderr).toContain("hybrid_motion");
  expect(stopped.stderr).toContain("kandinsky animate --resume f");
  const job = JSON.parse(readFileSync(join(cwd, "f/film.json"), "utf8"));
  expect(job.settings).toMatchObject({
    width: 64,
    height: 64,
    seed: 4,
    steps: 2,
    guidance: 0,
    motion: { frames: 3, frameRate: 8 },
  });
  const done = await runCli(["animate", "--resume", "f"], { cwd });
  expect([done.code, done.stdout], done.stderr).toEqual([0, `${join("f", "a.gif")}\n`]);
});

test.each([
  [["--frames", "0"], "a film needs frames"],
  [["--fps", "0"], "frameRate"],
  [["--zoom", "0: (1/0)"], "zoom, character 7, frame 0"],
  [["--angle", "0: (sin(q))"], "angle, character 9"],
  [["--at", "9: a", "--at", "4: b"], "frame 4 behind frame 9"],
  [["--strength", "2"], "strength_schedule"],
  [["--camera", "zomin"], "did you mean zoomin"],
  [["--camera", "up:x"], "zoomin:4:1.5"],
  [["--camera", "up", "--zoom", "1.1"], "does not go with the mode"],
  [["--mode", "2D", "--translation-z", "1"], "does not go with the mode"],
  [["--preset", "panorma"], "did you mean panorama"],
  [["--film", "a.mpg"], ".webm, .mp4, .gif, .webp"],
  [["--film", "a.webm", "--loop", "2"], "loop"],
  [["--film", "a.gif", "--audio", "x.ogg"], "audio"],
  [["--quality", "101"], "quality"],
  [["--image", "none.png"], "none.png"],
  [["--settings", "none.txt"], "none.txt"],
  [["--cadence", "9"], "cadence"],
  [["--border", "mirror"], "border"],
  [["--seed-behavior", "x"], "iter, fixed"],
  [["--resume", "nowhere"], "stopped run goes on as it was begun"],
] as const)("kandinsky animate refuses %j before anything is drawn", async (options, message) => {
  const folder = join(temporaryFolder(), "film");
  const { code, stderr } = await runHere([
    "animate",
    "a cat",
    "--model",
    TINY,
    "--output",
    folder,
    ...options,
  ]);
  expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  expect(existsSync(folder)).toBe(false);
  const russian = await runHere([
    "animate",
    "a cat",
    "--model",
    TINY,
    "--output",
    folder,
    ...options,
    "--lang",
    "ru",
  ]);
  expect(russian.code).toBe(2);
});

test("kandinsky animate wants a prompt and a folder of its own", async () => {
  const folder = temporaryFolder();
  expect((await runHere(["animate", "--model", TINY])).stderr).toContain("an animation needs a prompt");
  writeFileSync(join(folder, "letter.txt"), "");
  const used = await runHere(["animate", "a cat", "--model", TINY, "--output", folder]);
  expect([used.code, used.stderr]).toEqual([2, expect.stringContaining("letter.txt")]);
  const nowhere = await runHere(["animate", "--resume", join(folder, "none")]);
  expect([nowhere.code, nowhere.stderr]).toEqual([2, expect.stringContaining("no film to go on with")]);
});
