import type { JobPlan } from "../../src/pipelines/mod.ts";
import type { Context } from "./context.ts";
import { formatTable } from "./table.ts";
import { formatBytes } from "./units.ts";

/** A plan as lines: each stage with the precision of its weights, what stays loaded beside it, and memory. */
export function planTable({ stages }: JobPlan, { text, language }: Context): string[] {
  const { columns: c, rereads: again } = text.plan;
  const bytes = (count: number) => formatBytes(count, language);
  const rows = stages.map(({ stage, dtype, beside, expectedBytes, weightBytes, rereads }) => [
    text.inspect.stages[stage],
    dtype,
    bytes(expectedBytes),
    rereads ? `${bytes(weightBytes)}, ${again}` : bytes(weightBytes),
    beside.map((other) => text.inspect.stages[other]).join(", ") || text.plan.nothing,
  ]);
  return formatTable([[c.stage, c.precision, c.memory, c.weights, c.beside], ...rows], [2]);
}
