import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { NODE_ROOMS, ROOMS } from "./rooms.ts";

/**
 * Reads every import of the source tree and returns one line per broken rule: a room that imports a room
 * it may not, an import past another room's front door, `node:` outside the rooms that may touch the machine.
 */
export function checkRooms(root: string): string[] {
  const problems: string[] = [];
  for (const file of sourceFiles(root)) {
    const room = roomOf(file);
    const isTest = /\.test\.ts$|test-support/.test(file);
    for (const target of importsOf(readFileSync(join(root, file), "utf8"))) {
      if (target.startsWith("node:")) {
        const allowed =
          isTest || /\.node\.ts$/.test(file) || NODE_ROOMS.some((r) => file.startsWith(`${r}/`));
        if (!allowed) problems.push(`${file}: ${target} is for *.node.ts and ${NODE_ROOMS.join(", ")}`);
        continue;
      }
      if (!target.startsWith(".")) continue;
      const path = relative(root, resolve(root, dirname(file), target))
        .split(sep)
        .join("/");
      const other = roomOf(path);
      if (other === room) continue;
      if (other.startsWith("apps") && !room.startsWith("tools") && !room.startsWith("bench")) {
        problems.push(`${file}: nothing imports apps (${path})`);
      }
      if (other.startsWith("src/") && !path.endsWith("/mod.ts")) {
        problems.push(`${file}: ${path} is behind the front door ${other}/mod.ts`);
      }
      const allowed = ROOMS[room];
      if (allowed === undefined || isTest) continue;
      if (other !== "src/base" && !allowed.includes(other.replace("src/", ""))) {
        problems.push(`${file}: ${room} may not import ${other}`);
      }
    }
  }
  return problems;
}

function sourceFiles(root: string): string[] {
  const files: string[] = [];
  const visit = (folder: string) => {
    for (const name of readdirSync(join(root, folder))) {
      const path = `${folder}/${name}`;
      if (statSync(join(root, path)).isDirectory()) visit(path);
      else if (path.endsWith(".ts")) files.push(path);
    }
  };
  for (const top of ["src", "apps", "tools", "bench", "examples"]) visit(top);
  return files;
}

function roomOf(path: string): string {
  const parts = path.split("/");
  if (parts[0] === "src" && parts.length === 2) return "src";
  return parts[0] === "src" || parts[0] === "apps" ? `${parts[0]}/${parts[1]}` : parts[0]!;
}

function importsOf(source: string): string[] {
  return [...source.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map((match) => match[1]!);
}
