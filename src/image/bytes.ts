import { KandinskyError } from "../base/mod.ts";

/** The bytes of a text of 8-bit characters. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

export function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return start.every((byte, i) => bytes[i] === byte);
}

/** A container whose parts say they are longer than the file. */
export function damaged(kind: string, where: string, length: number): KandinskyError {
  return new KandinskyError("file_corrupt", {
    what: `the ${kind} is damaged`,
    where,
    seen: `a part that does not fit the file's ${length} bytes`,
    hint: "copy the file again from where it came from",
  });
}
