import { KandinskyError, parseBytes } from "../../src/base/mod.ts";

/** Reads the text of an option's value; throws `option_invalid` naming the option. */
type Parser<T> = (raw: string) => T;

/** A number in decimal notation. Its range is the library's business. */
export function number(flag: string): Parser<number> {
  return (raw) => {
    if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(raw.trim())) return Number(raw);
    throw unreadable(flag, raw, "a number");
  };
}

/** A whole number that is not below `least`. */
export function whole(flag: string, least = 1): Parser<number> {
  return (raw) => {
    if (/^\d+$/.test(raw) && Number(raw) >= least) return Number(raw);
    throw unreadable(flag, raw, `a whole number from ${least}`);
  };
}

/** Bytes with their unit: "8G", "8GiB", "8GB", "500M". */
export function bytes(flag: string): Parser<number> {
  return (raw) => {
    const value = parseBytes(raw);
    if (value !== undefined && value > 0) return value;
    throw unreadable(flag, raw, "bytes with a unit, such as 8G, 8GB or 500M");
  };
}

/** Width and height in pixels: "512x768", also with the multiplication sign or the Russian letter. */
export function size(flag: string): Parser<Size> {
  return (raw) => {
    const [, width, height] = /^(\d+)\s*[x×х*]\s*(\d+)$/i.exec(raw.trim()) ?? [];
    if (Number(width) > 0 && Number(height) > 0) return { width: Number(width), height: Number(height) };
    throw unreadable(flag, raw, "width and height, such as 512x768");
  };
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Width over height: "16:9". */
export function ratio(flag: string): Parser<number> {
  return (raw) => {
    const [, width, height] = /^(\d+(?:\.\d+)?)\s*:\s*(\d+(?:\.\d+)?)$/.exec(raw.trim()) ?? [];
    const value = Number(width) / Number(height);
    if (value > 0 && Number.isFinite(value)) return value;
    throw unreadable(flag, raw, "width and height in proportion, such as 16:9");
  };
}

/** Two numbers, in either order: "100,900". */
export function interval(flag: string): Parser<[number, number]> {
  const one = number(flag);
  return (raw) => {
    const parts = raw.split(",");
    if (parts.length !== 2) throw unreadable(flag, raw, "two numbers with a comma, such as 100,900");
    const [a, b] = parts.map(one) as [number, number];
    return a <= b ? [a, b] : [b, a];
  };
}

/** A box of pixels: "40,10,120,80" for left, top, width and height. */
export function box(
  flag: string,
): Parser<{ from: "box" } & Record<"left" | "top" | "width" | "height", number>> {
  const one = number(flag);
  return (raw) => {
    const parts = raw.split(",");
    if (parts.length !== 4) throw unreadable(flag, raw, "left, top, width and height, such as 40,10,120,80");
    const [left, top, width, height] = parts.map(one) as [number, number, number, number];
    return { from: "box", left, top, width, height };
  };
}

/** Places in pixels: "10,10 50,10 30,40". */
export function points(flag: string): Parser<[number, number][]> {
  const one = number(flag);
  return (raw) =>
    raw
      .trim()
      .split(/\s+/)
      .map((place) => {
        const parts = place.split(",");
        if (parts.length !== 2) throw unreadable(flag, raw, "corners, such as 10,10 50,10 30,40");
        return parts.map(one) as [number, number];
      });
}

/** A colour and how far from it counts too. */
export interface ColorKey {
  readonly color: string;
  readonly tolerance?: number;
}

/** A colour and a tolerance: "#00ff00:32", also without the tolerance or the mark. */
export function colorKey(flag: string): Parser<ColorKey> {
  return (raw) => {
    const [, digits, tolerance] = /^#?([0-9a-f]{6})(?::(\d+))?$/i.exec(raw.trim()) ?? [];
    if (digits === undefined) throw unreadable(flag, raw, "a colour and a tolerance, such as #00ff00:32");
    return { color: `#${digits}`, ...(tolerance === undefined ? {} : { tolerance: Number(tolerance) }) };
  };
}

/** Pixels, or a share of a side such as "25%", which the library reads. */
export function extent(flag: string): Parser<number | string> {
  const one = number(flag);
  return (raw) => {
    if (/^\d+(\.\d+)?%$/.test(raw.trim())) return raw.trim();
    try {
      return one(raw);
    } catch {
      throw unreadable(flag, raw, "pixels, or a share such as 25%");
    }
  };
}

/** Names with commas between them. */
export function names(flag: string): Parser<string[]> {
  return (raw) => {
    const list = raw.split(",").map((name) => name.trim());
    if (list.every((name) => name !== "")) return [...new Set(list)];
    throw unreadable(flag, raw, "names with commas between them");
  };
}

const UNIT_BYTES: Readonly<Record<string, number>> = { k: 1e3, m: 1e6, g: 1e9 };

/** A share up to 1, or bytes: "0.34", "3.2G", "900M". */
export function modelSize(flag: string): Parser<number> {
  return (raw) => {
    const [, value, unit] = /^(\d+(?:\.\d+)?|\.\d+)\s*([kmg]?)b?$/i.exec(raw.trim()) ?? [];
    const size = Number(value) * (UNIT_BYTES[unit?.toLowerCase() ?? ""] ?? 1);
    if (size > 0) return size;
    throw unreadable(flag, raw, "a share such as 0.34, or bytes such as 3.2G");
  };
}

/** A file and how strongly it acts: "style.safetensors:0.8", by itself 1. */
export function weighted(raw: string): { readonly file: string; readonly weight: number } {
  const [, file, weight] = /^(.+):([+-]?(?:\d+\.?\d*|\.\d+))$/.exec(raw) ?? [];
  return { file: file ?? raw, weight: Number(weight ?? 1) };
}

function unreadable(flag: string, raw: string, wanted: string): KandinskyError {
  const seen = JSON.stringify(raw);
  return new KandinskyError("option_invalid", { what: "cannot use this value", where: flag, seen, wanted });
}
