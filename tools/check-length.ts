import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sourceFiles } from "./source-files.ts";

const MOST_LINES = 600;

/** One line for each source file that is too long to be read at once. */
export function checkLength(root: string): string[] {
  return sourceFiles(root).flatMap((file) => {
    const lines = readFileSync(join(root, file), "utf8").split("\n").length - 1;
    return lines > MOST_LINES ? [`${file}: ${lines} lines, at most ${MOST_LINES}`] : [];
  });
}
