/**
 * The rewriting rules of a SentencePiece model: a double-array trie (Darts) over the UTF-8 bytes of the source
 * texts, whose values are offsets into a blob of NUL-terminated replacements.
 */
export interface Charsmap {
  readonly units: Uint32Array;
  readonly replacements: Uint8Array;
}

const IS_VALUE = 0x80000000;
const VALUE_BITS = 0x7fffffff;
const HAS_LEAF = 0x100;

/**
 * Reads `precompiled_charsmap`: the trie's byte count (u32, little endian), the trie, the replacements. An empty
 * one has no rules (normalisation "identity").
 * @throws RangeError with what is wrong in the bytes
 */
export function parseCharsmap(bytes: Uint8Array): Charsmap {
  if (bytes.length === 0) return { units: new Uint32Array(), replacements: new Uint8Array() };
  if (bytes.length < 4) throw new RangeError(`a character map of ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const trieBytes = view.getUint32(0, true);
  if (trieBytes % 4 !== 0 || trieBytes > bytes.length - 4) {
    throw new RangeError(`a character map of ${bytes.length} bytes with a trie of ${trieBytes}`);
  }
  const units = Uint32Array.from({ length: trieBytes / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
  const replacements = bytes.slice(4 + trieBytes);
  if (replacements.length > 0 && replacements.at(-1) !== 0) {
    throw new RangeError("a character map whose last replacement has no end");
  }
  for (const unit of units) {
    if (unit >= IS_VALUE && (unit & VALUE_BITS) >= replacements.length) {
      throw new RangeError("a character map that points behind its replacements");
    }
  }
  return { units, replacements };
}

/** The longest rule whose source begins at `start` of `text` (well-formed UTF-16), or undefined. */
export function longestRule(
  { units, replacements }: Charsmap,
  text: string,
  start: number,
): { readonly end: number; readonly replacement: string } | undefined {
  if (units.length === 0) return undefined;
  let end = -1;
  let value = 0;
  let node = childBase(units[0]!);
  for (let index = start; index < text.length; ) {
    const codePoint = text.codePointAt(index)!;
    index += codePoint > 0xffff ? 2 : 1;
    let unit: number | undefined;
    for (const byte of utf8(codePoint)) {
      node ^= byte;
      unit = units[node];
      if (unit === undefined || (unit & (IS_VALUE | 0xff)) !== byte) {
        return end < 0 ? undefined : { end, replacement: replacementAt(replacements, value) };
      }
      node ^= childBase(unit);
    }
    if ((unit! & HAS_LEAF) !== 0) {
      end = index;
      value = units[node]! & VALUE_BITS;
    }
  }
  return end < 0 ? undefined : { end, replacement: replacementAt(replacements, value) };
}

function childBase(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

function replacementAt(replacements: Uint8Array, offset: number): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(
    replacements.subarray(offset, replacements.indexOf(0, offset)),
  );
}

function utf8(codePoint: number): readonly number[] {
  if (codePoint < 0x80) return [codePoint];
  const last = 0x80 | (codePoint & 0x3f);
  if (codePoint < 0x800) return [0xc0 | (codePoint >> 6), last];
  const third = 0x80 | ((codePoint >> 6) & 0x3f);
  if (codePoint < 0x10000) return [0xe0 | (codePoint >> 12), third, last];
  return [0xf0 | (codePoint >> 18), 0x80 | ((codePoint >> 12) & 0x3f), third, last];
}
