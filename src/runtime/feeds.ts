import { type ErrorCode, KandinskyError, nearest } from "../base/mod.ts";
import { formatShape, type Tensor } from "../tensor/mod.ts";
import type { Fetch, Held, Port } from "./types.ts";

/** Throws the first way in which `feeds` differ from what the program takes. */
export function checkFeeds(
  program: string,
  inputs: readonly Port[],
  feeds: Readonly<Record<string, Tensor | Held>>,
): void {
  const fail = failing(program);
  for (const { name, dtype, shape } of inputs) {
    const feed = feeds[name];
    if (feed === undefined) {
      throw fail("tensor_missing", `feed ${name}`, "nothing", `${dtype}${showShape(shape)}`);
    }
    if (feed.dtype !== dtype) throw fail("tensor_dtype", `feed ${name}`, feed.dtype, dtype);
    const fits =
      feed.shape.length === shape.length &&
      shape.every((size, axis) => typeof size === "string" || size === feed.shape[axis]);
    if (!fits) throw fail("tensor_shape", `feed ${name}`, formatShape(feed.shape), showShape(shape));
  }
  checkNames(program, "feed", Object.keys(feeds), inputs);
}

/** Throws where an output is asked for that the program does not have, or none at all. */
export function checkFetches(
  program: string,
  outputs: readonly Port[],
  fetches: Readonly<Record<string, Fetch>>,
): void {
  const names = Object.keys(fetches);
  if (names.length === 0) throw failing(program)("tensor_missing", "fetches", "none", "at least one output");
  checkNames(program, "fetch", names, outputs);
}

function checkNames(program: string, kind: string, names: readonly string[], ports: readonly Port[]): void {
  const known = ports.map(({ name }) => name);
  const stranger = names.find((name) => !known.includes(name));
  if (stranger === undefined) return;
  const wanted = nearest(stranger, known) ?? known.slice(0, 8).join(", ");
  throw failing(program)("tensor_unexpected", `${kind} ${stranger}`, stranger, wanted);
}

function failing(program: string) {
  return (code: ErrorCode, where: string, seen: string, wanted: string): KandinskyError =>
    new KandinskyError(code, { what: `cannot run ${program}`, where, seen, wanted });
}

function showShape(shape: Port["shape"]): string {
  return `[${shape.join(",")}]`;
}
