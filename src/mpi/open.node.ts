import process, { env, platform } from "node:process";
import { promisify } from "node:util";
import { KandinskyError } from "../base/mod.ts";
import { type Communicator, pieces } from "./communicator.ts";
import { checkLauncher, findLibrary } from "./library.ts";

export type Koffi = typeof import("koffi");
type Library = ReturnType<Koffi["load"]>;

/** Calls of the library in progress may not meet, but come from other threads than the first. */
const THREAD_SERIALIZED = 2;
/** Values in one call: MPI counts in C ints. */
const MOST_VALUES = 2 ** 30;
const VERSION_BYTES = 8192;
/** What a thread of the system has; the foreign-function library gives its calls less by itself. */
const STACK_BYTES = 8 * 2 ** 20;

/**
 * Joins the processes that `mpirun` started, or a single one where it was not used. To be called once a process.
 * Throws `library_absent` where koffi, which calls the library, or a library is not installed, or where the library
 * found belongs to another MPI than the launcher.
 */
export async function openMpi(): Promise<Communicator> {
  // UCX, below some libraries, rewrites the C library's memory functions in place, while V8's threads are in them.
  env["UCX_MEM_EVENTS"] ??= "no";
  const koffi = await loadKoffi();
  koffi.config({ sync_stack_size: STACK_BYTES, async_stack_size: STACK_BYTES });
  // The library loads parts of itself, which look for its symbols among the global ones.
  const { library, flavour } = findLibrary((file) => koffi.load(file, { global: true }), env, platform);
  const { handleType: handle, inPlace } = flavour;
  const { world, float, byte, sum } = flavour.handles((name) => library.symbol(name));
  const declare = (name: string, ...types: string[]) => library.func(`MPI_${name}`, "int", types);
  const inBackground = (name: string, ...types: string[]) => {
    const call = promisify(declare(name, ...types).async) as (...values: unknown[]) => Promise<number>;
    return async (...values: unknown[]) => check(name, await call(...values));
  };
  const allreduce = inBackground("Allreduce", "void *", "void *", "int", handle, handle, handle);
  const bcast = inBackground("Bcast", "void *", "int", handle, "int", handle);
  const barrier = inBackground("Barrier", handle);
  const abort = declare("Abort", handle, "int");
  const finalize = declare("Finalize");
  const askWorld = (name: string) => {
    const answer = new Int32Array(1);
    check(name, declare(name, handle, "void *")(world, answer) as number);
    return answer[0]!;
  };

  const provided = new Int32Array(1);
  const init = declare("Init_thread", "void *", "void *", "int", "void *");
  check("Init_thread", init(null, null, THREAD_SERIALIZED, provided) as number);
  if (provided[0]! < THREAD_SERIALIZED) throw failed("Init_thread", `thread level ${provided[0]}`);
  const [rank, size] = [askWorld("Comm_rank"), askWorld("Comm_size")];
  checkLauncher(size, env);

  // Some launchers take a process that leaves without a word for one that is done, and call the job a success.
  const leaving = (code: number) => {
    if (code === 0) abort(world, 1);
  };
  process.once("exit", leaving);

  let last: Promise<unknown> = Promise.resolve();
  const inOrder = (work: () => Promise<void>): Promise<void> => {
    const next = last.then(work);
    // Whoever asked hears of a failure; the next call goes on.
    last = next.catch(() => {});
    return next;
  };
  return {
    rank,
    size,
    library: versionOf(library),
    sum: (values) =>
      inOrder(async () => {
        for (const [start, end] of pieces(values.length, MOST_VALUES)) {
          const address = koffi.address(values.subarray(start, end));
          await allreduce(inPlace, address, end - start, float, sum, world);
        }
      }),
    broadcast: (values, root = 0) =>
      inOrder(async () => {
        const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
        for (const [start, end] of pieces(bytes.length, MOST_VALUES)) {
          await bcast(koffi.address(bytes.subarray(start, end)), end - start, byte, root, world);
        }
      }),
    barrier: () => inOrder(() => barrier(world)),
    abort(code) {
      abort(world, code);
      throw failed("Abort", "it came back");
    },
    close: () =>
      inOrder(async () => {
        check("Finalize", finalize() as number);
        process.off("exit", leaving);
      }),
  };
}

/** The package that calls libraries. Throws `library_absent`. */
export async function loadKoffi(): Promise<Koffi> {
  try {
    return (await import("koffi")).default as unknown as Koffi;
  } catch (cause) {
    throw new KandinskyError(
      "library_absent",
      {
        what: "cannot work on many machines: the npm package koffi, which calls the MPI library, is not there",
        hint: "npm install koffi",
      },
      { cause },
    );
  }
}

function versionOf(library: Library): string {
  const [text, length] = [new Uint8Array(VERSION_BYTES), new Int32Array(1)];
  const get = library.func("MPI_Get_library_version", "int", ["void *", "void *"]);
  check("Get_library_version", get(text, length) as number);
  const [line = ""] = new TextDecoder().decode(text.subarray(0, length[0])).split(/[\n\0]/);
  return line.split(",")[0]!.trim();
}

function check(name: string, code: number): void {
  if (code !== 0) throw failed(name, `code ${code}`);
}

function failed(name: string, seen: string): KandinskyError {
  return new KandinskyError("engine_died", {
    what: "a call of the MPI library failed",
    where: `MPI_${name}`,
    seen,
  });
}
