import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { KandinskyError } from "../base/mod.ts";
import { isText, PICTURE_EXTENSIONS, type Sample, type Stretch } from "./sample.ts";
import { listShard } from "./tar.node.ts";

/**
 * The samples of several sources, in order: a `.tar` is a shard; a folder is searched to its end for shards and
 * for pictures with captions beside them (`fox.jpg` with `fox.txt`, `fox.ru.txt` or `fox.json`), by name. Links and
 * hidden files are left out. Throws `file_missing` for a source that is not there, `input_missing` where no picture
 * is found, and what `listShard` throws.
 */
export async function listSamples(sources: readonly string[]): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (const source of sources) {
    const about = await stat(source).catch((cause: unknown) => {
      throw new KandinskyError("file_missing", { what: "cannot open the data", where: source }, { cause });
    });
    const found = about.isDirectory() ? await walk(source, "") : await listShard(source);
    for (const sample of found) samples.push(sample);
  }
  if (samples.length === 0) {
    throw new KandinskyError("input_missing", {
      what: "there is no picture in the data",
      where: sources.join(", "),
      wanted: `tar shards, or pictures ending in ${[...PICTURE_EXTENSIONS].join(", ")}`,
    });
  }
  return samples;
}

async function walk(root: string, below: string): Promise<Sample[]> {
  const items = (await readdir(join(root, below), { withFileTypes: true }))
    .filter(({ name }) => !name.startsWith("."))
    // By code units and not by locale: the order of samples must not depend on the machine.
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const files = items.filter((item) => item.isFile()).map(({ name }) => name);
  const samples: Sample[] = [];
  for (const item of items) {
    const path = below === "" ? item.name : `${below}/${item.name}`;
    if (item.isDirectory()) samples.push(...(await walk(root, path)));
    else if (!item.isFile()) continue;
    else if (item.name.endsWith(".tar")) samples.push(...(await listShard(join(root, path))));
    else if (PICTURE_EXTENSIONS.has(extensionOf(item.name))) {
      samples.push(await toSample(root, below, item.name, files));
    }
  }
  return samples;
}

async function toSample(
  root: string,
  below: string,
  name: string,
  files: readonly string[],
): Promise<Sample> {
  const stem = name.slice(0, name.lastIndexOf("."));
  const texts: Record<string, Stretch> = {};
  for (const file of files) {
    const rest = file.startsWith(`${stem}.`) ? file.slice(stem.length + 1).toLowerCase() : "";
    if (isText(rest)) texts[rest] = await whole(join(root, below, file));
  }
  const key = below === "" ? name : `${below}/${name}`;
  return { key, picture: await whole(join(root, below, name)), texts };
}

async function whole(file: string): Promise<Stretch> {
  return { file, offset: 0, size: (await stat(file)).size };
}

function extensionOf(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1).toLowerCase();
}
