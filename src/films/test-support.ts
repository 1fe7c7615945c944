import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { type Kandinsky3, openLocalFile } from "../pipelines/mod.ts";
import type { FilmPlace } from "./mod.ts";

/** A model of few channels whose pictures mean nothing. */
export const TINY = join(import.meta.dirname, "../../../golden/tiny-k3");

/** An empty folder that goes away with the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "kandinsky-films-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function placeOf(model: Kandinsky3, folder: string, film: FilmPlace["film"]): FilmPlace {
  return { folder, film, info: model.info, loras: [], open: openLocalFile };
}

/** Every file of a folder by its path there. */
export function contents(folder: string): Record<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort();
  return Object.fromEntries(
    paths.map((path) => [path.slice(folder.length), readFileSync(path).toString("base64")]),
  );
}
