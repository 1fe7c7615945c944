import type { Command } from "commander";
import type { Context } from "../context.ts";
export async function runDoctor(_c: Context, _d: Command): Promise<number> {
  return 0;
}
