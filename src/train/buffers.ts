import { product } from "../base/mod.ts";
import type { ParameterShape } from "../graph/mod.ts";
import type { Engine, Held } from "../runtime/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import { type OptimizerConfig, type Role, updatedRoles } from "./optimizer.ts";

export type HeldByName = ReadonlyMap<string, Held>;

/**
 * Elements that an update works on at a time: so few that all of what it reads and makes of them stays in the
 * processor's cache, so many that the runtime's cost of an operation does not count. By measurement with two threads.
 */
export const CHUNK = 262144;

/** A part of the buffers that is updated alike. */
export interface Chunk {
  readonly decays: boolean;
  /** Parameters that lie in it or reach into it. */
  readonly names: readonly string[];
  readonly held: ReadonlyMap<Role, Held>;
}

/** What lies in the engine: one buffer a role, in which the tensors of the trained parameters are parts. */
export interface Buffers {
  /** Every parameter, frozen ones too. */
  readonly parameters: HeldByName;
  /** Of trained parameters, by role. */
  readonly roles: ReadonlyMap<Role, HeldByName>;
  /** One after the other, each of `CHUNK` elements. */
  readonly chunks: readonly Chunk[];
  /** All gradients, chunk after chunk. */
  readonly gradients: Held;
}

/** Where the trained parameters lie in every buffer: first those that decay, then the others. */
interface Plan {
  readonly places: readonly { readonly shape: ParameterShape; readonly start: number }[];
  readonly chunks: readonly { readonly decays: boolean; readonly start: number }[];
  readonly size: number;
}

function planOf(shapes: readonly ParameterShape[], { decays }: OptimizerConfig): Plan {
  const places: { shape: ParameterShape; start: number }[] = [];
  const chunks: { decays: boolean; start: number }[] = [];
  let size = 0;
  for (const group of [true, false]) {
    const first = size;
    for (const shape of shapes) {
      if (decays(shape) !== group) continue;
      places.push({ shape, start: size });
      size += product(shape.shape);
    }
    const count = Math.ceil((size - first) / CHUNK);
    for (let i = 0; i < count; i++) chunks.push({ decays: group, start: first + i * CHUNK });
    size = first + count * CHUNK;
  }
  return { places, chunks, size };
}

/** Values of the trained parameters by role; zeros where there are none. */
export type Initial = ReadonlyMap<Role, ReadonlyMap<string, Tensor>>;

/** Makes the buffers and writes the values; `frozen` are held beside them. */
export async function openBuffers(
  engine: Engine,
  shapes: readonly ParameterShape[],
  config: OptimizerConfig,
  initial: Initial,
  frozen: ReadonlyMap<string, Tensor>,
): Promise<Buffers> {
  const plan = planOf(shapes, config);
  const roles = new Map<Role, HeldByName>();
  const chunks = plan.chunks.map(({ decays, start }) => ({
    decays,
    names: namesIn(plan, start),
    held: new Map<Role, Held>(),
  }));
  let gradients: Held | undefined;
  for (const role of ["gradient", ...updatedRoles(config.halfLives.length)] as const) {
    const views = await holdRole(engine, plan, initial.get(role));
    roles.set(role, views.byName);
    if (role === "gradient") gradients = views.whole;
    for (const [i, chunk] of chunks.entries()) chunk.held.set(role, views.chunks[i]!);
  }
  const parameters = new Map(roles.get("parameter")!);
  for (const [name, value] of frozen) parameters.set(name, await engine.hold(value));
  return { parameters, roles, chunks, gradients: gradients! };
}

function namesIn({ places }: Plan, start: number): string[] {
  return places
    .filter((place) => place.start < start + CHUNK && place.start + product(place.shape.shape) > start)
    .map(({ shape }) => shape.name);
}

/** One more buffer laid out like the others, of zeros: its parts by name, and those that are updated together. */
export async function holdLike(
  engine: Engine,
  shapes: readonly ParameterShape[],
  config: OptimizerConfig,
): Promise<Parts> {
  return holdRole(engine, planOf(shapes, config), undefined);
}

export interface Parts {
  readonly whole: Held;
  readonly byName: HeldByName;
  readonly chunks: readonly Held[];
}

async function holdRole(
  engine: Engine,
  { places, chunks, size }: Plan,
  values: ReadonlyMap<string, Tensor> | undefined,
): Promise<Parts> {
  const whole = await engine.hold({ dtype: "float32", shape: [size] });
  const byName = new Map<string, Held>();
  for (const { shape, start } of places) {
    const part = await engine.view(whole, start, shape.shape);
    byName.set(shape.name, part);
    const value = values?.get(shape.name);
    if (value !== undefined) await engine.write(part, value);
  }
  const parts: Held[] = [];
  for (const { start } of chunks) parts.push(await engine.view(whole, start, [CHUNK]));
  return { whole, byName, chunks: parts };
}
