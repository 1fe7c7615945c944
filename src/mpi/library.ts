import { KandinskyError } from "../base/mod.ts";
import { FLAVOURS, type Flavour } from "./flavours.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The library of the launcher that started this process, or else the first that `load` finds. Throws
 * `library_absent` where there is none.
 */
export function findLibrary<L>(
  load: (file: string) => L,
  env: Environment,
  platform: NodeJS.Platform,
): { readonly library: L; readonly flavour: Flavour } {
  const flavours = Object.values(FLAVOURS);
  const started = flavours.filter(({ sizeVariable }) => env[sizeVariable] !== undefined);
  const tried: string[] = [];
  for (const flavour of started.length > 0 ? started : flavours) {
    for (const file of flavour.files[platform] ?? []) {
      try {
        return { library: load(file), flavour };
      } catch {
        tried.push(file);
      }
    }
  }
  throw new KandinskyError("library_absent", {
    what: "cannot work on many machines: no MPI library was found",
    seen: tried.length === 0 ? `no known name of one on ${platform}` : `none of ${tried.join(", ")}`,
    hint: "install Open MPI (Debian and Ubuntu: apt install openmpi-bin; Fedora: dnf install openmpi; macOS: brew install open-mpi)",
  });
}

/** What the launcher says of a process before the library is loaded. */
export interface Launched {
  /** Which of the processes this is, from 0. */
  readonly rank: number;
  readonly size: number;
  /** How many of them share this machine. */
  readonly localSize: number;
}

/** What the launcher says in the environment; undefined where this process was started alone. */
export function launchedBy(env: Environment): Launched | undefined {
  for (const { sizeVariable, rankVariable, localSizeVariable } of Object.values(FLAVOURS)) {
    const [size, rank, localSize] = [sizeVariable, rankVariable, localSizeVariable].map((name) =>
      Number(env[name] ?? 1),
    ) as [number, number, number];
    if (env[sizeVariable] !== undefined && size > 1) return { rank, size, localSize };
  }
  return undefined;
}

/**
 * Throws `library_absent` where the launcher started another number of processes than the library knows: a library
 * of another MPI lets every process believe that it is alone.
 */
export function checkLauncher(size: number, env: Environment): void {
  for (const [name, { sizeVariable }] of Object.entries(FLAVOURS)) {
    const started = env[sizeVariable];
    if (started === undefined || Number(started) === size) continue;
    throw new KandinskyError("library_absent", {
      what: "the MPI library is not that of the launcher",
      seen: `${size} of ${started} processes`,
      wanted: `the library of ${name}, whose launcher started them`,
    });
  }
}
