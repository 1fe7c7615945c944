import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { expect, test } from "vitest";
import { decodePicture, encodePixels, type Picture, readMetadata } from "../../../src/image/mod.ts";
import { runCli, runHere, TINY, temporaryFolder } from "../test-support.ts";

const PHOTO: Picture = {
  width: 150,
  height: 100,
  data: Uint8Array.from({ length: 3 * 150 * 100 }, (_, i) => (7 * i + Math.floor(i / 450) * 3) % 230),
};

/** A folder with pictures and masks to work on, sound and unsound. */
async function prepared(): Promise<string> {
  const cwd = temporaryFolder();
  const png = await encodePixels(PHOTO, "png");
  const save = (name: string, bytes: Uint8Array | string) => writeFileSync(join(cwd, name), bytes);
  const raw = { raw: { width: 150, height: 100, channels: 3 } } as const;
  const grey = (width: number, height: number, value: (x: number) => number) =>
    sharp(
      Uint8Array.from({ length: width * height }, (_, i) => value(i % width)),
      {
        raw: { width, height, channels: 1 },
      },
    );
  save("photo.png", png);
  save("photo.jpg", await sharp(PHOTO.data, raw).withMetadata({ orientation: 6 }).jpeg().toBuffer());
  save("cmyk.jpg", await sharp(PHOTO.data, raw).toColourspace("cmyk").jpeg().toBuffer());
  save("deep.png", await sharp(PHOTO.data, raw).toColourspace("rgb16").png().toBuffer());
  save(
    "grey.png",
    await grey(150, 100, (x) => x)
      .toColourspace("b-w")
      .png()
      .toBuffer(),
  );
  save(
    "mask.png",
    await grey(150, 100, (x) => (x > 60 && x < 90 ? 255 : 0))
      .png()
      .toBuffer(),
  );
  save(
    "mask-small.png",
    await grey(75, 50, (x) => (x < 30 ? 255 : 0))
      .png()
      .toBuffer(),
  );
  save(
    "mask-empty.png",
    await grey(150, 100, () => 0)
      .png()
      .toBuffer(),
  );
  save(
    "mask-full.png",
    await grey(150, 100, () => 255)
      .png()
      .toBuffer(),
  );
  save(
    "mask-grey.png",
    await grey(150, 100, () => 128)
      .png()
      .toBuffer(),
  );
  const alpha = await sharp(PHOTO.data, raw)
    .joinChannel(Buffer.from(Uint8Array.from({ length: 15000 }, (_, i) => (i % 150 < 40 ? 0 : 255))), {
      raw: { width: 150, height: 100, channels: 1 },
    })
    .png()
    .toBuffer();
  save("cut-out.png", alpha);
  const film = sharp(PHOTO.data, { raw: { ...raw.raw, pageHeight: 50 } });
  save("film.webp", await film.webp({ loop: 0 }).toBuffer());
  save(
    "dot.png",
    await grey(9, 70, (x) => x)
      .png()
      .toBuffer(),
  );
  save("truncated.png", png.slice(0, png.length / 2));
  save("TEXT.txt", "nothing of use");
  save(
    "strokes.json",
    JSON.stringify([
      {
        points: [
          [20, 20],
          [100, 60],
        ],
        width: 20,
      },
    ]),
  );
  save("strokes-odd.json", JSON.stringify([{ points: [], width: 20 }]));
  const bomb = Buffer.from(png);
  bomb.writeUInt32BE(60_000, 16);
  bomb.writeUInt32BE(60_000, 20);
  save("bomb.png", bomb);
  return cwd;
}

const QUICK = ["--model", TINY, "--steps", "2", "--seed", "0", "--output", "out.png"];

/** Runs a command line that must succeed; its result. */
async function drawn(cwd: string, words: readonly string[]) {
  const { code, stdout, stderr } = await runCli([...words, ...QUICK, "--overwrite"], { cwd });
  expect(code, stderr).toBe(0);
  expect(stdout).toBe("out.png\n");
  return { picture: await decodePicture(readFileSync(join(cwd, "out.png"))), stderr };
}

/** The part of a picture that begins at a column. */
function equalColumns(a: Picture, b: Picture, from: number, to: number): boolean {
  for (let y = 0; y < a.height; y++) {
    const at = (x: number) => 3 * (y * a.width + x);
    if (Buffer.compare(a.data.subarray(at(from), at(to)), b.data.subarray(at(from), at(to))) !== 0)
      return false;
  }
  return true;
}

test("kandinsky edit takes pictures of every kind, upright", async () => {
  const cwd = await prepared();
  for (const [file, size] of [
    ["photo.jpg", [100, 150]],
    ["cmyk.jpg", [150, 100]],
    ["deep.png", [150, 100]],
    ["grey.png", [150, 100]],
    ["cut-out.png", [150, 100]],
  ] as const) {
    const { picture } = await drawn(cwd, ["edit", file, "a", "cat", "--strength", "0.5"]);
    const shrunk = Math.min(1, 128 / Math.sqrt(size[0] * size[1]));
    expect([picture.width, picture.height], file).toEqual(size.map((side) => Math.round(side * shrunk)));
  }
});

test("kandinsky inpaint: a mask's white is repainted, all else stays bit for bit, and repeat makes it again", async () => {
  const cwd = await prepared();
  const { picture, stderr } = await drawn(cwd, ["inpaint", "photo.png", "a", "cat", "--mask", "mask.png"]);
  expect(stderr).toContain("this model was not made for inpainting");
  expect(equalColumns(picture, PHOTO, 0, 57)).toBe(true);
  expect(equalColumns(picture, PHOTO, 94, 150)).toBe(true);
  expect(equalColumns(picture, PHOTO, 61, 90)).toBe(false);
  const first = readFileSync(join(cwd, "out.png"));
  const { json } = readMetadata(first) as { json: { request: Record<string, unknown> } };
  expect(json.request).toMatchObject({
    operation: "inpaint",
    prompt: "a cat",
    image: { file: "photo.png" },
    mask: { from: "file", file: "mask.png" },
  });
  const again = await runCli(["repeat", "out.png", "--model", TINY, "--output", "again.png"], { cwd });
  expect(again.code, again.stderr).toBe(0);
  expect(readFileSync(join(cwd, "again.png")).equals(first)).toBe(true);
  // From elsewhere the files are found beside the picture, or where they are said to be.
  const elsewhere = temporaryFolder();
  const far = await runCli(["repeat", join(cwd, "out.png"), "--model", TINY, "--output", "far.png"], {
    cwd: elsewhere,
  });
  expect(far.code, far.stderr).toBe(0);
  writeFileSync(join(elsewhere, "copy.png"), first);
  const lost = await runCli(["repeat", "copy.png", "--model", TINY], { cwd: elsewhere });
  expect([lost.code, lost.stderr]).toMatchObject([2, expect.stringContaining("--input")]);
  const inputs = ["photo.png", "mask.png"].flatMap((name) => ["--input", join(cwd, name)]);
  const named = await runCli(["repeat", "copy.png", "--model", TINY, ...inputs], { cwd: elsewhere });
  expect(named.code, named.stderr).toBe(0);
});

test.each([
  ["a mask of another size", ["--mask", "mask-small.png"], "the mask of 75x50 was resized"],
  ["a box", ["--box", "10,10,40,50"], ""],
  ["a polygon", ["--polygon", "10,10 90,20 40,80"], ""],
  ["strokes", ["--strokes", "strokes.json"], ""],
  ["a colour", ["--color-key", "#646464:20", "--grow", "1", "--feather", "0"], ""],
  ["all but a box, in its surroundings", ["--box", "30,20,60,60", "--invert", "--region", "mask"], ""],
] as const)("kandinsky inpaint takes %s", async (_, words, told) => {
  const cwd = await prepared();
  const { picture, stderr } = await drawn(cwd, ["inpaint", "photo.png", ...words]);
  expect(stderr).toContain(told);
  expect([picture.width, picture.height]).toEqual([150, 100]);
  expect(equalColumns(picture, PHOTO, 0, 150)).toBe(false);
});

test("kandinsky inpaint repaints the picture's transparent part where no mask is named", async () => {
  const cwd = await prepared();
  const { picture } = await drawn(cwd, ["inpaint", "cut-out.png", "a", "cat", "--feather", "2"]);
  expect(equalColumns(picture, PHOTO, 42, 150)).toBe(true);
  expect(equalColumns(picture, PHOTO, 0, 40)).toBe(false);
});

test("kandinsky edit, extend, panorama and upscale draw the sizes asked for, and repeat makes them again", {
  timeout: 240_000,
}, async () => {
  const cwd = await prepared();
  const drawnTwice = async (args: readonly string[]) => {
    const result = await drawn(cwd, args);
    const again = await runCli(
      ["repeat", "out.png", "--model", TINY, "--output", "again.png", "--overwrite"],
      {
        cwd,
      },
    );
    expect(again.code, again.stderr).toBe(0);
    const [first, second] = ["out.png", "again.png"].map((name) => readFileSync(join(cwd, name)));
    expect(second!.equals(first!), args.join(" ")).toBe(true);
    return result;
  };
  const { picture } = await drawnTwice(["edit", "photo.png", "a", "cat", "--strength", "0.5"]);
  expect([picture.width, picture.height]).toEqual([150, 100]);
  const wide = await drawnTwice(["extend", "photo.png", "a", "cat", "--left", "30", "--bottom", "10%"]);
  expect([wide.picture.width, wide.picture.height]).toEqual([180, 110]);
  const long = await drawnTwice(["panorama", "a", "cat", "--width", "256", "--height", "64", "--wrap"]);
  expect([long.picture.width, long.picture.height]).toEqual([256, 64]);
  const large = await drawnTwice(["upscale", "photo.png", "--by", "2", "--strength", "0.5"]);
  expect([large.picture.width, large.picture.height]).toEqual([300, 200]);
});

type Mistake = readonly [name: string, words: readonly string[], names: readonly string[]];

const MISTAKES: readonly Mistake[] = [
  ["no picture", ["edit"], ["PICTURE"]],
  ["no prompt for an edit", ["edit", "photo.png"], ["PROMPT"]],
  ["a picture that is not there", ["edit", "none.png", "x"], ["none.png"]],
  ["a text as picture", ["edit", "TEXT.txt", "x"], ["TEXT.txt", "PNG, JPEG or WebP"]],
  ["a truncated picture", ["edit", "truncated.png", "x"], ["truncated.png"]],
  ["an animation", ["edit", "film.webp", "x"], ["film.webp", "2 frames", "save the frame"]],
  ["a decode bomb", ["upscale", "bomb.png", "--by", "2"], ["bomb.png", "60000x60000", "100 million pixels"]],
  ["a tiny picture", ["edit", "dot.png", "x"], ["dot.png", "9x70", "at least 32"]],
  ["a strength of 0", ["edit", "photo.png", "x", "--strength", "0"], ["--strength", "more than 0"]],
  ["a strength beyond 1", ["edit", "photo.png", "x", "--strength", "2"], ["--strength", "at most 1"]],
  [
    "a strength without a step",
    ["edit", "photo.png", "x", "--strength", "0.01"],
    ["--strength", "at least 0.04"],
  ],
  [
    "an unknown schedule",
    ["edit", "photo.png", "x", "--strength-as", "cosin"],
    ["--strength-as", "schedule, linear"],
  ],
  ["a picture without transparency", ["inpaint", "photo.png", "x"], ["photo.png", "--mask FILE"]],
  ["an empty mask", ["inpaint", "photo.png", "x", "--mask", "mask-empty.png"], ["mask-empty.png", "empty"]],
  [
    "a full mask",
    ["inpaint", "photo.png", "x", "--mask", "mask-full.png"],
    ["mask-full.png", "kandinsky edit"],
  ],
  [
    "a mask without contrast",
    ["inpaint", "photo.png", "x", "--mask", "mask-grey.png"],
    ["mask-grey.png", "contrast"],
  ],
  [
    "a mask of another size, strictly",
    ["inpaint", "photo.png", "x", "--mask", "mask-small.png", "--strict"],
    ["mask-small.png", "75x50", "150x100"],
  ],
  ["a mask that is not there", ["inpaint", "photo.png", "x", "--mask", "none.png"], ["none.png"]],
  ["two masks", ["inpaint", "photo.png", "x", "--mask", "mask.png", "--box", "1,1,5,5"], ["--mask, --box"]],
  ["a box of three numbers", ["inpaint", "photo.png", "x", "--box", "1,1,5"], ["--box", "40,10,120,80"]],
  ["a box without width", ["inpaint", "photo.png", "x", "--box", "1,1,0,5"], ["--mask", "more than 0"]],
  ["a box beside the picture", ["inpaint", "photo.png", "x", "--box", "900,1,5,5"], ["empty"]],
  [
    "a polygon of two corners",
    ["inpaint", "photo.png", "x", "--polygon", "1,1 5,5"],
    ["--mask", "at least 3"],
  ],
  [
    "strokes that are no JSON",
    ["inpaint", "photo.png", "x", "--strokes", "TEXT.txt"],
    ["TEXT.txt", "points"],
  ],
  ["strokes without points", ["inpaint", "photo.png", "x", "--strokes", "strokes-odd.json"], ["at least 1"]],
  [
    "a colour that is none",
    ["inpaint", "photo.png", "x", "--color-key", "reddish"],
    ["--color-key", "#00ff00:32"],
  ],
  ["an extension by nothing", ["extend", "photo.png"], ["--left", "--left 25%"]],
  ["an extension by a word", ["extend", "photo.png", "--left", "much"], ["--left", "25%"]],
  ["a panorama of no unit", ["panorama", "x", "--width", "1000"], ["1000", "960 and 1024"]],
  [
    "windows without overlap",
    ["panorama", "x", "--width", "256", "--overlap", "0"],
    ["--overlap", "at least 0.125"],
  ],
  ["an unknown way to join", ["panorama", "x", "--join", "averge"], ["--join", "did you mean average?"]],
  ["an enlargement by 3", ["upscale", "photo.png", "--by", "3"], ["--by", "3", "2, 4"]],
  ["no enlargement", ["upscale", "photo.png"], ["--by"]],
];

test.each(MISTAKES)("runCommandLine refuses %s", async (_, words, names) => {
  const cwd = await prepared();
  const before = readdirSync(cwd).sort();
  const placed = words.map((word) =>
    /^(none\.png|.*\.(png|jpg|webp|txt|json))$/.test(word) ? join(cwd, word) : word,
  );
  const { code, stdout, stderr } = await runHere([
    ...placed,
    "--model",
    TINY,
    "--output",
    join(cwd, "out.png"),
  ]);
  expect(code, stderr).toBe(2);
  expect(stdout).toBe("");
  for (const name of names) expect(stderr).toContain(name);
  expect(stderr).toMatch(/^error: /);
  expect(stderr, "a stack trace").not.toMatch(/\n\s+at /);
  expect(stderr).not.toContain("undefined");
  expect(readdirSync(cwd).sort()).toEqual(before);
  const russian = await runHere([...placed, "--model", TINY, "--output", join(cwd, "out.png")], {
    LANG: "ru_RU.UTF-8",
  });
  expect(russian.code, russian.stderr).toBe(2);
  const [first = "", hint = "подсказки нет"] = russian.stderr.trimEnd().split("\n");
  expect(first).toMatch(/^ошибка: /);
  expect(first.split(": ")[1] ?? "", "what failed").toMatch(/[а-я]/);
  expect(hint, "what to do").toMatch(/[а-я]/);
});

test("kandinsky generate --resume goes on with an edit that Ctrl-C stopped", async () => {
  const cwd = await prepared();
  const words = ["edit", "photo.png", "a", "cat", "--count", "2", "--steps", "60", "--strength", "1"];
  const options = ["--model", TINY, "--seed", "3"];
  const whole = await runCli([...words, ...options, "--output", "whole-{index}.png"], { cwd });
  expect(whole.code, whole.stderr).toBe(0);
  const { startCli } = await import("../test-support.ts");
  const running = startCli([...words, ...options, "--output", "part-{index}.png", "--json"], {
    cwd,
    onOutput: (text) => {
      if (text.includes('"index":3,')) running.kill("SIGINT");
    },
  });
  const stopped = await running.outcome;
  expect(stopped.code, stopped.stderr).toBe(130);
  const file = readdirSync(cwd).find((name) => name.startsWith("kandinsky-resume"))!;
  const resumed = await runCli(["generate", "--resume", join(cwd, file)], { cwd: cwd });
  expect(resumed.code, resumed.stderr).toBe(0);
  for (const index of [1, 2]) {
    const part = readFileSync(join(cwd, `part-${index}.png`));
    expect(part.equals(readFileSync(join(cwd, `whole-${index}.png`))), `picture ${index}`).toBe(true);
  }
  expect(existsSync(join(cwd, file))).toBe(false);
});
