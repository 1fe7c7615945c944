import { product } from "../base/mod.ts";
import type { Program } from "../runtime/mod.ts";
import type { BoundPart } from "./packing.node.ts";

/** Parts whose weights take at most this much as float32 stay loaded between pictures. */
const SMALL_PART_BYTES = 512e6;

/** Programs that a picture needs once: of a small part they are kept for the next picture, of a large one not. */
export class ResidentPrograms {
  readonly #kept = new Map<string, { readonly key: string; readonly program: Program }>();

  /** Runs `work` on the program of a role and size, which `load` makes where it is not there. */
  async use<T>(
    part: BoundPart,
    role: string,
    key: string,
    load: () => Promise<Program>,
    work: (program: Program) => Promise<T>,
  ): Promise<T> {
    const kept = this.#kept.get(role);
    if (kept?.key === key) return work(kept.program);
    await kept?.program.release();
    this.#kept.delete(role);
    const program = await load();
    if (staysLoaded(part)) {
      this.#kept.set(role, { key, program });
      return work(program);
    }
    try {
      return await work(program);
    } finally {
      await program.release();
    }
  }

  async dispose(): Promise<void> {
    for (const { program } of this.#kept.values()) await program.release();
    this.#kept.clear();
  }
}

/** Whether programs of a part are kept for the next picture. */
export function staysLoaded({ entries }: BoundPart): boolean {
  let bytes = 0;
  for (const { shape } of entries.values()) bytes += 4 * product(shape);
  return bytes <= SMALL_PART_BYTES;
}
