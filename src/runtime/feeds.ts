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
  for (const port of inputs) {
    const feed = feeds[port.name];
    if (feed === undefined) {
      throw fail("tensor_missing", `feed ${port.name}`, "nothing", `${port.dtype}${showShape(port.shape)}`);
    }
    checkFit(program, `feed ${port.name}`, port, feed);
  }
  checkNames(program, "feed", Object.keys(feeds), inputs);
}

function checkFit(program: string, where: string, { dtype, shape }: Port, value: Tensor | Held): void {
  const fail = failing(program);
  if (value.dtype !== dtype) throw fail("tensor_dtype", where, value.dtype, dtype);
  const fits =
    value.shape.length === shape.length &&
    shape.every((size, axis) => typeof size === "string" || size === value.shape[axis]);
  if (!fits) throw fail("tensor_shape", where, formatShape(value.shape), showShape(shape));
}

/**
 * Throws where an output is asked for that the program does not have, or none at all, or one that does not fit
 * the tensor it is to be written over.
 */
export function checkFetches(
  program: string,
  outputs: readonly Port[],
  fetches: Readonly<Record<string, Fetch>>,
): void {
  const names = Object.keys(fetches);
  if (names.length === 0) throw failing(program)("tensor_missing", "fetches", "none", "at least one output");
  checkNames(program, "fetch", names, outputs);
  for (const port of outputs) {
    const fetch = fetches[port.name];
    if (typeof fetch === "object") checkFit(program, `fetch ${port.name}`, port, fetch);
  }
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
