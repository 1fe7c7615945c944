import { readFile } from "node:fs/promises";
import { dirname, extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { KandinskyError } from "../base/mod.ts";
import { parseRun, type RunConfig } from "./config.ts";

type Reader = (file: string) => Promise<unknown>;

const program: Reader = async (file) => {
  const { default: config } = (await import(pathToFileURL(file).href)) as { readonly default?: unknown };
  return config;
};

/** How each kind of config file is read. */
const READERS: Readonly<Record<string, Reader>> = {
  ".js": program,
  ".mjs": program,
  ".json": async (file) => JSON.parse(await readFile(file, "utf8")),
};

/**
 * Reads and checks a config: a program whose default export it is, or JSON. Folders in it are relative to its file.
 * Throws `file_missing`, `file_corrupt` where it does not run or parse, and what `parseRun` throws.
 */
export async function loadRun(path: string): Promise<RunConfig> {
  const file = resolve(path);
  const reader = READERS[extname(file)];
  if (reader === undefined) {
    throw new KandinskyError("option_invalid", {
      what: "cannot read the training config",
      where: file,
      seen: extname(file) || "no ending",
      wanted: Object.keys(READERS).join(", "),
    });
  }
  const input = await reader(file).catch((cause: NodeJS.ErrnoException) => {
    const absent = cause.code === "ENOENT" || cause.code === "ERR_MODULE_NOT_FOUND";
    throw new KandinskyError(
      absent ? "file_missing" : "file_corrupt",
      { what: "cannot read the training config", where: file, seen: cause.message },
      { cause },
    );
  });
  return withFolders(parseRun(input, file), dirname(file));
}

function withFolders(config: RunConfig, base: string): RunConfig {
  const model = "model" in config ? { model: resolve(base, config.model) } : {};
  const data = "data" in config ? { data: withDataFolders(config.data, base) } : {};
  return { ...config, ...model, ...data } as RunConfig;
}

type Data = Extract<RunConfig, { readonly data: unknown }>["data"];

function withDataFolders(data: Data, base: string): Data {
  if (data.kind === "files") return { ...data, paths: data.paths.map((path) => resolve(base, path)) };
  return data.folder === undefined ? data : { ...data, folder: resolve(base, data.folder) };
}
