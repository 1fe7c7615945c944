import { KandinskyError } from "../base/mod.ts";
import { describeNode, type Graph } from "../graph/mod.ts";
import type { Program } from "../runtime/mod.ts";
import type { Tensor } from "../tensor/mod.ts";

/** A graph that ran, and how to run it again with other results. */
export interface Suspect {
  readonly graph: Graph;
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly load: (graph: Graph) => Promise<Program>;
}

/**
 * The first operation whose result is wrong, in words; undefined where none is. Looks at the named stages, then at
 * all operations since the last stage that was right.
 */
export async function firstWrong(
  suspect: Suspect,
  isWrong: (result: Tensor<"float32">) => boolean,
): Promise<string | undefined> {
  const { graph } = suspect;
  const named = new Set([...graph.taps.values(), ...graph.outputs.values()]);
  const made = graph.nodes.flatMap(({ dtype, inputs }, id) =>
    dtype === "float32" && inputs.length > 0 ? [id] : [],
  );
  const stages = made.filter((id) => named.has(id));
  const stage = await firstOf(suspect, stages, isWrong);
  if (stage === undefined) return undefined;
  const right = stages[stages.indexOf(stage) - 1] ?? -1;
  const between = made.filter((id) => id > right && id < stage);
  return describeNode(graph, (await firstOf(suspect, between, isWrong)) ?? stage);
}

async function firstOf(
  { graph, feeds, load }: Suspect,
  ids: readonly number[],
  isWrong: (result: Tensor<"float32">) => boolean,
): Promise<number | undefined> {
  if (ids.length === 0) return undefined;
  const program = await load({ ...graph, outputs: new Map(ids.map((id) => [nameOf(id), id])) });
  try {
    const given = Object.fromEntries(program.inputs.map(({ name }) => [name, feeds[name]!]));
    for (const id of ids) {
      const results = await program.run(given, { [nameOf(id)]: "return" as const });
      if (isWrong(results[nameOf(id)] as Tensor<"float32">)) return id;
    }
    return undefined;
  } finally {
    await program.release();
  }
}

function nameOf(id: number): string {
  return `watched_${id}`;
}

/** Said where a second run shows nothing wrong. */
export const NOWHERE = "no single operation: a second run was finite";

/** Whether all values are finite. */
export function isFinite32({ data }: Tensor<"float32">): boolean {
  return data.every(Number.isFinite);
}

/** The error for a network output that is not finite. */
export function notFinite(what: string, where: string): KandinskyError {
  return new KandinskyError("result_not_finite", {
    what,
    where,
    seen: "NaN or infinity",
    hint: "check the model's files with `kandinsky inspect`; weights that overflowed in half precision do this",
  });
}

/** Whether each channel of a map [B,C,H,W] has the same value at every place; other shapes never count. */
export function isConstant({ shape, data }: Tensor<"float32">): boolean {
  const size = (shape[2] ?? 1) * (shape[3] ?? 1);
  if (shape.length !== 4 || size === 1) return false;
  return data.every((value, i) => value === data[i - (i % size)]);
}
