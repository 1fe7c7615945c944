import { readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { NODE_ROOMS, ROOMS } from "./rooms.ts";
import { sourceFiles } from "./source-files.ts";

/**
 * Reads every file of the source tree and returns one line per broken rule: a room that imports a room it may
 * not, an import past another room's front door, a room that `rooms.ts` does not name, and `node:`, `process`,
 * `console` or `Math.random` where a file may not touch the machine.
 */
export function checkRooms(root: string): string[] {
  return sourceFiles(root).flatMap((file) => {
    const source = withoutComments(readFileSync(join(root, file), "utf8"));
    return [...nameProblems(file), ...machineProblems(file, source), ...importProblems(root, file, source)];
  });
}

function nameProblems(file: string): string[] {
  const room = roomOf(file);
  if (!room.startsWith("src/") || Object.hasOwn(ROOMS, room)) return [];
  return [`${file}: ${room} is not in tools/rooms.ts`];
}

/** What only some files may name, and what it is called. */
const MACHINE: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/\b(?:from|import)\s*\(?\s*"node:/, "node: modules"],
  [/(?<![\w.$])(?:console|process)\./, "console and process"],
  [/\bMath\.random\b/, "Math.random"],
];

function machineProblems(file: string, source: string): string[] {
  const free = isTest(file) || file.endsWith(".node.ts") || NODE_ROOMS.some((r) => file.startsWith(`${r}/`));
  if (free) return [];
  return MACHINE.filter(([pattern]) => pattern.test(source)).map(
    ([, what]) => `${file}: ${what} are for *.node.ts and ${NODE_ROOMS.join(", ")}`,
  );
}

function importProblems(root: string, file: string, source: string): string[] {
  const room = roomOf(file);
  return importsOf(source).flatMap((target) => {
    if (!target.startsWith(".")) return [];
    const path = relative(root, resolve(root, dirname(file), target))
      .split(sep)
      .join("/");
    const other = roomOf(path);
    if (other === room) return [];
    const problems: string[] = [];
    if (other.startsWith("apps") && !room.startsWith("tools") && !room.startsWith("bench")) {
      problems.push(`${file}: nothing imports apps (${path})`);
    }
    if (other.startsWith("src/") && !path.endsWith("/mod.ts")) {
      problems.push(`${file}: ${path} is behind the front door ${other}/mod.ts`);
    }
    const allowed = ROOMS[room];
    const isAllowed = other === "src/base" || allowed?.includes(other.replace("src/", "")) !== false;
    if (!isAllowed && !isTest(file)) problems.push(`${file}: ${room} may not import ${other}`);
    return problems;
  });
}

function isTest(file: string): boolean {
  return /\.test\.ts$|test-support/.test(file);
}

function roomOf(path: string): string {
  const parts = path.split("/");
  if (parts[0] === "src" && parts.length === 2) return "src";
  return parts[0] === "src" || parts[0] === "apps" ? `${parts[0]}/${parts[1]}` : parts[0]!;
}

function importsOf(source: string): string[] {
  return [...source.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map((match) => match[1]!);
}

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}
