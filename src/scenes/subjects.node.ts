import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseSubjects, type Subject } from "./subjects.ts";

/** The list of subjects that comes along. */
export const SUBJECTS_FILE = fileURLToPath(new URL("../../../data/nano/subjects.json", import.meta.url));

/** Codes of the 48 subjects of the seed model, which later ones are compared with. */
const SEED_FILE = fileURLToPath(new URL("../../../data/nano/seed-subjects.json", import.meta.url));

/** Where the icons and their drawings are kept unless told otherwise. */
export const SCENES_CACHE = fileURLToPath(new URL("../../../data/nano/.kandinsky", import.meta.url));

/** The subjects of our nano model, held-out ones too. */
export async function readSubjects(): Promise<readonly Subject[]> {
  return parseSubjects(JSON.parse(await readFile(SUBJECTS_FILE, "utf8")), SUBJECTS_FILE);
}

/** Codes of the subjects that the seed model drew; all are among ours. */
export async function readSeedCodes(): Promise<readonly string[]> {
  return JSON.parse(await readFile(SEED_FILE, "utf8")) as readonly string[];
}
