import { availableParallelism } from "node:os";
import { KandinskyError, product } from "../base/mod.ts";
import { type Connection, cancelled, connect } from "./connection.ts";
import { checkFeeds, checkFetches } from "./feeds.ts";
import { processMemory } from "./memory.ts";
import type { Calls } from "./protocol.ts";
import type { Device, Engine, Fetch, Fetched, Held, Memory, Peers, Program, ProgramSource } from "./types.ts";

export interface EngineOptions {
  readonly device: Device;
  /** Threads within an operation; default: the processor cores this process may use. */
  readonly threads?: number;
  /** Aborting it is `kill()`. */
  readonly signal?: AbortSignal;
  /**
   * A compiled module that is loaded in the engine's process; its default export opens the `Collective` by which this
   * engine works together with others.
   */
  readonly collective?: URL;
}

/**
 * Starts ONNX Runtime in a process of its own and proves the device with one small run; a device that does not
 * work is refused, never replaced. Throws `device_absent` with the reason, `cancelled`, `engine_died`, and what opening
 * a collective throws.
 */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { device, threads = availableParallelism(), signal, collective } = options;
  if (!Number.isInteger(threads) || threads < 1) {
    throw new KandinskyError("option_invalid", {
      what: "cannot start the engine",
      where: "threads",
      seen: String(threads),
      wanted: "a whole number from 1",
    });
  }
  if (signal?.aborted) throw cancelled();
  const connection = connect();
  signal?.addEventListener("abort", connection.kill, { once: true });
  const gone = connection.gone.then(() => signal?.removeEventListener("abort", connection.kill));
  try {
    const named = collective === undefined ? {} : { collective: collective.href };
    const { peers } = await connection.call("start", { device, threads, ...named });
    return makeEngine(connection, device, threads, peers);
  } catch (error) {
    connection.kill();
    await gone;
    throw error;
  }
}

function makeEngine(
  connection: Connection,
  device: Device,
  threads: number,
  found: Calls["start"]["answer"]["peers"],
): Engine {
  const live = new Set<Held>();
  const peers = found === undefined ? {} : { peers: makePeers(connection, live, found) };
  return {
    device,
    threads,
    // Answered, so it has one.
    pid: connection.pid!,
    ...peers,
    load: (source) => loadInto(connection, live, source),
    async hold({ dtype, shape, ...given }) {
      const { held } = await connection.call("hold", { dtype, shape, ...given });
      const handle = { held, dtype, shape };
      live.add(handle);
      return handle;
    },
    async view(whole, start, shape) {
      if (!live.has(whole)) throw stale("view", "the held tensor");
      const [size, end] = [product(whole.shape), start + product(shape)];
      if (!(start >= 0 && end <= size)) {
        throw new KandinskyError("tensor_shape", {
          what: "cannot view a part of a held tensor",
          seen: `elements ${start} to ${end}`,
          wanted: `0 to ${size}`,
        });
      }
      const { held } = await connection.call("view", { held: whole.held, start, shape });
      const handle = { held, dtype: whole.dtype, shape };
      live.add(handle);
      return handle;
    },
    async write(held, { dtype, shape, data }) {
      if (!live.has(held)) throw stale("write", "the held tensor");
      const what = "cannot write over a held tensor";
      if (dtype !== held.dtype) {
        throw new KandinskyError("tensor_dtype", { what, seen: dtype, wanted: held.dtype });
      }
      if (shape.join() !== held.shape.join()) {
        throw new KandinskyError("tensor_shape", { what, seen: `[${shape}]`, wanted: `[${held.shape}]` });
      }
      await connection.call("write", { held: held.held, data });
    },
    async read(held) {
      if (!live.has(held)) throw stale("read", "the held tensor");
      return connection.call("read", { held: held.held });
    },
    async release(held) {
      const freed = ("held" in held ? [held] : held).filter((one) => live.delete(one));
      if (freed.length > 0) await connection.call("releaseHeld", { held: freed.map((one) => one.held) });
    },
    memory: () => readMemory(connection),
    kill: connection.kill,
    async [Symbol.asyncDispose]() {
      connection.kill();
      await connection.gone;
    },
  };
}

function makePeers(
  connection: Connection,
  live: ReadonlySet<Held>,
  found: NonNullable<Calls["start"]["answer"]["peers"]>,
): Peers {
  return {
    ...found,
    async sum(held) {
      if (!live.has(held)) throw stale("sum", "the held tensor");
      if (held.dtype !== "float32") {
        throw new KandinskyError("tensor_dtype", { what: "cannot sum", seen: held.dtype, wanted: "float32" });
      }
      await connection.call("sum", { held: held.held });
    },
    async close() {
      await connection.call("leave", null);
    },
  };
}

async function loadInto(connection: Connection, live: Set<Held>, source: ProgramSource): Promise<Program> {
  const { program, inputs, outputs } = await connection.call("load", source);
  const { name } = source;
  let released = false;
  return {
    name,
    inputs,
    outputs,
    async run<const F extends Readonly<Record<string, Fetch>>>(
      feeds: Parameters<Program["run"]>[0],
      fetches: F,
    ): Promise<Fetched<F>> {
      if (released) throw stale(`run ${name}`, "the program");
      for (const [feed, value] of Object.entries(feeds)) {
        if ("held" in value && !live.has(value))
          throw stale(`run ${name}`, `the held tensor of feed ${feed}`);
      }
      for (const [fetch, value] of Object.entries(fetches)) {
        if (typeof value === "object" && !live.has(value))
          throw stale(`run ${name}`, `the held tensor of fetch ${fetch}`);
      }
      checkFeeds(name, inputs, feeds);
      checkFetches(name, outputs, fetches);
      const results = await connection.call("run", { program, feeds, fetches });
      for (const result of Object.values(results)) if ("held" in result) live.add(result);
      const written = Object.entries(fetches).filter(([, fetch]) => typeof fetch === "object");
      return { ...results, ...Object.fromEntries(written) } as Fetched<F>;
    },
    async release() {
      if (released) return;
      released = true;
      await connection.call("releaseProgram", { program });
    },
  };
}

function stale(action: string, what: string): KandinskyError {
  return new KandinskyError("graph_invalid", {
    what: `cannot ${action}`,
    seen: `${what} was released or belongs to another engine`,
  });
}

/** From the outside where the system allows it, because the engine cannot answer during a run. */
async function readMemory(connection: Connection): Promise<Memory> {
  // A process that ended has no figures: the call then rejects with the reason.
  return (await processMemory(connection.pid!)) ?? connection.call("memory", null);
}
