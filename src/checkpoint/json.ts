const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * What makes a JSON text unfit for a file from a stranger: a key given twice, or nesting beyond `maxDepth`.
 * Undefined where nothing does. Runs before `JSON.parse`, which keeps the last of two equal keys silently
 * and builds any depth in memory; text that is no JSON at all is left for it to refuse.
 */
export function findJsonHazard(text: string, maxDepth: number): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === "{" || c === "[") {
      if (open.length === maxDepth) return `nested more than ${maxDepth} deep`;
      open.push(c === "{" ? new Set() : undefined);
    } else if (c === "}" || c === "]") {
      open.pop();
    } else if (c === '"') {
      const end = endOfString(text, i);
      if (text[skipSpace(text, end)] === ":") {
        const key = readKey(text.slice(i, end));
        const keys = open.at(-1);
        if (keys?.has(key)) return `the key ${JSON.stringify(key)} twice`;
        keys?.add(key);
      }
      i = end - 1;
    }
  }
  return undefined;
}

/** Position after the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let i = start + 1;
  for (; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === BACKSLASH) i++;
    else if (c === QUOTE) return i + 1;
  }
  return i;
}

function skipSpace(text: string, start: number): number {
  let i = start;
  while (text[i] === " " || text[i] === "\n" || text[i] === "\r" || text[i] === "\t") i++;
  return i;
}

/** The key without its escapes, so that `"\u0061"` and `"a"` count as one. */
function readKey(quoted: string): string {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    return quoted;
  }
}
