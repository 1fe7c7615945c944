import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import {
  loadTokenizer,
  type Tokenizer,
  tokenizerConfig,
  tokenizerFromJson,
} from "../../src/tokenizer/mod.ts";
import type { Context } from "./context.ts";
import { readJsonAs } from "./folder.ts";
import { EXACT, type Report } from "./report.ts";

export const TOKENIZER_FILE = "tokenizer-cases.json";

const ids = z.array(z.int());
const schema = z.object({
  about: z.object({ tokenizer: z.string(), max_length: z.int() }),
  cases: z.array(
    z.object({
      tag: z.string(),
      text: z.string(),
      ids,
      full_length: z.int(),
      fast: ids.optional(),
      v5: ids.optional(),
    }),
  ),
});

type Case = z.infer<typeof schema>["cases"][number];

/** All cases from spiece.model (ids), and from tokenizer.json alone (ids, or what another tokenizer made of them). */
export async function tokenizer({ folder, report }: Context): Promise<void> {
  const { about, cases } = await readJsonAs(folder, TOKENIZER_FILE, schema);
  const path = join(folder, about.tokenizer);
  const files = {
    "spiece.model": { load: () => loadTokenizer(path), columns: (c: Case) => [c.ids] },
    "tokenizer.json": {
      load: async () => {
        const config = await readJson(join(path, "tokenizer_config.json"));
        return tokenizerFromJson(await readJson(join(path, "tokenizer.json")), tokenizerConfig({ config }));
      },
      columns: (c: Case) => [c.ids, c.fast, c.v5],
    },
  };
  for (const [file, { load, columns }] of Object.entries(files)) {
    compareCases(`${TOKENIZER_FILE} ${file}`, await load(), cases, about.max_length, columns, report);
  }
}

function compareCases(
  name: string,
  tokenizer: Tokenizer,
  cases: readonly Case[],
  maxLength: number,
  columns: (c: Case) => readonly (readonly number[] | undefined)[],
  report: Report,
): void {
  const wrong = cases.flatMap((c, index) => {
    const { ids: seen, fullLength } = tokenizer.encode(c.text, maxLength);
    const isSlow = seen.join() === c.ids.join();
    const right = isSlow
      ? fullLength === c.full_length
      : columns(c).some((ids) => ids?.join() === seen.join());
    if (right) return [];
    const length = isSlow ? `; ${fullLength} in full, wanted ${c.full_length}` : "";
    report.note(
      `  case ${index} (${c.tag}) ${JSON.stringify(c.text)}: seen ${seen}, wanted ${c.ids}${length}`,
    );
    return [index];
  });
  report.add({
    name: `${name} (${cases.length} cases)`,
    tolerance: EXACT.name,
    worst: wrong.length,
    place: wrong.slice(0, 1),
    ratio: wrong.length === 0 ? 0 : Number.POSITIVE_INFINITY,
  });
}

async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, "utf8"));
}
