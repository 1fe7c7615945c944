import { decode, fromRGBA8888, type RGBA8888 } from "sixel";
import { expect, test } from "vitest";
import { decodePicture, type Picture, resizePicture } from "../../../src/image/mod.ts";
import { renderInline } from "./render.ts";

/** Wide and with noise in blue, so that its PNG needs several kitty escapes. */
function noisy(width: number, height: number): Picture {
  const data = new Uint8Array(3 * width * height);
  for (let i = 0; i < width * height; i++) {
    data.set([(3 * i) % 256, Math.floor(i / width), (i * i * 2654435761) % 251], 3 * i);
  }
  return { width, height, data };
}

/** Smooth, as pictures are, for the palette of sixel. */
function smooth(width: number, height: number): Picture {
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      data.set([(255 * x) / width, (255 * y) / height, 128], 3 * (y * width + x));
    }
  }
  return { width, height, data };
}

/** Control characters by name, so that expressions can speak of them. */
function readable(text: string): string {
  return text.replaceAll("\x1b", "<ESC>").replaceAll("\x07", "<BEL>");
}

test("renderInline for kitty carries the PNG in pieces of at most 4096", async () => {
  const picture = noisy(96, 144);
  const text = readable(await renderInline(picture, "kitty", { columns: 60 }));
  const escapes = [...text.matchAll(/<ESC>_G([^;]*);([^<]*)<ESC>\\/g)];
  expect(`${escapes.map((match) => match[0]).join("")}\n`).toBe(text);
  expect(escapes.length).toBeGreaterThan(2);
  expect(escapes[0]![1]).toBe("a=T,f=100,q=2,c=40,m=1");
  expect(escapes.slice(1, -1).every((match) => match[1] === "m=1")).toBe(true);
  expect(escapes.at(-1)![1]).toBe("m=0");
  expect(escapes.slice(0, -1).every((match) => match[2]!.length === 4096)).toBe(true);
  const bytes = Buffer.from(escapes.map((match) => match[2]).join(""), "base64");
  expect(await decodePicture(bytes)).toEqual(picture);
});

test("renderInline for kitty needs one escape for a small picture", async () => {
  const text = readable(await renderInline(smooth(6, 4), "kitty", { columns: 10 }));
  expect(text.match(/<ESC>_G/g)?.length).toBe(1);
  expect(text).toContain("c=10,m=0;");
});

test("renderInline for iTerm carries the PNG and its size", async () => {
  const picture = noisy(48, 32);
  const text = readable(await renderInline(picture, "iterm", { columns: 40 }));
  const form = /^<ESC>\]1337;File=inline=1;size=(\d+);width=40;preserveAspectRatio=1:([^<]*)<BEL>\n$/;
  const match = form.exec(text);
  const bytes = Buffer.from(match![2]!, "base64");
  expect(bytes.length).toBe(Number(match![1]));
  expect(await decodePicture(bytes)).toEqual(picture);
});

test("renderInline for sixel draws the picture at the width asked for", async () => {
  const picture = smooth(48, 32);
  const text = await renderInline(picture, "sixel", { columns: 24 });
  expect(text.startsWith("\x1bP")).toBe(true);
  expect(text.endsWith("\x1b\\\n")).toBe(true);
  const { width, height, data32 } = decode(text.slice(text.indexOf("q") + 1, -3));
  expect([width, height]).toEqual([240, 160]);
  const wanted = (await resizePicture(picture, 240, 160)).data;
  const shown = [...data32].flatMap((pixel) => fromRGBA8888(pixel as RGBA8888).slice(0, 3));
  const mean = shown.reduce((sum, value, i) => sum + Math.abs(value - wanted[i]!), 0) / shown.length;
  // 256 colours, dithered, in steps of a hundredth: near on average, not pixel by pixel.
  expect(mean, `mean difference ${mean}`).toBeLessThan(6);
});

test("renderInline gives a tall picture fewer columns", async () => {
  expect(await renderInline(smooth(32, 64), "kitty", { columns: 40 })).toContain("c=20,");
  expect(await renderInline(smooth(1, 500), "iterm", { columns: 40 })).toContain("width=1;");
});

test("renderInline shows nothing where the terminal takes none", async () => {
  expect(await renderInline(smooth(6, 4), "none", { columns: 40 })).toBe("");
});
