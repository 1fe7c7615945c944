import { image2sixel } from "sixel";
import { encodePixels, type Picture, resizePicture } from "../../../src/image/mod.ts";
import type { GraphicsProtocol } from "./detect.ts";

export interface InlineOptions {
  /** Side of the square, in character cells across, that the picture fills as far as its shape allows. */
  readonly columns: number;
}

/**
 * The text that shows the picture in a terminal of that protocol, ending in a line break; "" for `none`.
 * Nothing in it makes the terminal answer.
 */
export async function renderInline(
  picture: Picture,
  protocol: GraphicsProtocol,
  { columns }: InlineOptions,
): Promise<string> {
  // A cell is about twice as high as wide, so a tall picture gets fewer columns to keep within the square.
  const fitted = Math.max(1, Math.round(columns * Math.min(1, picture.width / picture.height)));
  return RENDERERS[protocol](picture, fitted);
}

const RENDERERS: Readonly<Record<GraphicsProtocol, (picture: Picture, columns: number) => Promise<string>>> =
  {
    kitty: renderKitty,
    iterm: renderIterm,
    sixel: renderSixel,
    none: async () => "",
  };

/** Longest payload of one kitty escape, in base64 characters. */
const KITTY_CHUNK = 4096;

/** PNG bytes in base64, in pieces; a=T transmits and shows, q=2 asks for no answer (kitty graphics protocol). */
async function renderKitty(picture: Picture, columns: number): Promise<string> {
  const payload = await pngBase64(picture);
  const pieces = payload.match(new RegExp(`.{1,${KITTY_CHUNK}}`, "g")) ?? [];
  const escapes = pieces.map((piece, index) => {
    const first = index === 0 ? `a=T,f=100,q=2,c=${columns},` : "";
    return `\x1b_G${first}m=${index < pieces.length - 1 ? 1 : 0};${piece}\x1b\\`;
  });
  return `${escapes.join("")}\n`;
}

/** PNG bytes in base64 in one OSC 1337 (iTerm2, WezTerm, mintty, VS Code). */
async function renderIterm(picture: Picture, columns: number): Promise<string> {
  const payload = await pngBase64(picture);
  const size = Buffer.from(payload, "base64").length;
  const settings = `inline=1;size=${size};width=${columns};preserveAspectRatio=1`;
  return `\x1b]1337;File=${settings}:${payload}\x07\n`;
}

/** Pixels of one column: sixel counts pixels and cells differ, so this is the VT340's, which most emulate. */
const CELL_WIDTH = 10;
/** Colour registers that every sixel terminal of today has. */
const SIXEL_COLOURS = 256;

async function renderSixel(picture: Picture, columns: number): Promise<string> {
  const width = columns * CELL_WIDTH;
  const height = Math.max(1, Math.round((width * picture.height) / picture.width));
  const { data } = await resizePicture(picture, width, height);
  const rgba = new Uint8Array(4 * width * height).fill(255);
  for (let i = 0; i < width * height; i++) rgba.set(data.subarray(3 * i, 3 * i + 3), 4 * i);
  return `${image2sixel(rgba, width, height, SIXEL_COLOURS)}\n`;
}

async function pngBase64(picture: Picture): Promise<string> {
  return Buffer.from(await encodePixels(picture, "png")).toString("base64");
}
