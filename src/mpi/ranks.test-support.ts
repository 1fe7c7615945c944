/**
 * What one of the processes does that `mpi.test.ts` starts with `mpirun`: the scenario is the first argument. Every
 * process prints one line of JSON.
 */
import { setTimeout } from "node:timers/promises";
import { type Communicator, openMpi } from "./mod.ts";

type Scenario = (world: Communicator) => Promise<Record<string, unknown>>;

/** Values that differ between processes and whose float32 sums depend on the order of summation. */
function valuesOf(rank: number, length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) =>
    Math.fround(Math.sin(i * 12.9898 + rank * 78.233) * 10 ** (i % 5)),
  );
}

/** A sum of the bits: equal only for equal values. */
function checksum(values: Float32Array): number {
  let sum = 0;
  for (const word of new Uint32Array(values.buffer, values.byteOffset, values.length)) {
    sum = (Math.imul(sum, 31) + word) >>> 0;
  }
  return sum;
}

const LENGTHS = [0, 1, 7, 1000, 65_537, 500_001];

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  /** Sums against float64, their bits, a view into a larger array, a broadcast from the last process. */
  async sums(world) {
    const checksums: number[] = [];
    let worst = 0;
    for (const length of LENGTHS) {
      // Whoever is late must not change the order of summation.
      await setTimeout(Math.random() * 20);
      const around = new Float32Array(length + 9).fill(5);
      const values = around.subarray(4, 4 + length);
      values.set(valuesOf(world.rank, length));
      await world.sum(values);
      checksums.push(checksum(values), around[3]! + around[4 + length]!);
      const all = Array.from({ length: world.size }, (_, rank) => valuesOf(rank, length));
      for (let i = 0; i < length; i++) {
        const exact = all.reduce((sum, one) => sum + one[i]!, 0);
        const scale = all.reduce((sum, one) => sum + Math.abs(one[i]!), 1e-30);
        worst = Math.max(worst, Math.abs(values[i]! - exact) / scale);
      }
    }
    const told = valuesOf(world.rank, 1000);
    const bytes = Uint8Array.of(world.rank, 1, 2);
    // All at once: they run in the order in which they were asked for.
    await Promise.all([world.broadcast(told, world.size - 1), world.broadcast(bytes), world.barrier()]);
    const isTold = checksum(told) === checksum(valuesOf(world.size - 1, 1000));
    return { checksums, worst, isTold, bytes: [...bytes], library: world.library };
  },

  /** What else process 0 gets done while it waits for the others. */
  async overlap(world) {
    const values = new Float32Array(1000).fill(1);
    await world.barrier();
    if (world.rank > 0) await setTimeout(500);
    let isDone = false;
    let ticks = 0;
    const sum = world.sum(values).then(() => {
      isDone = true;
    });
    while (!isDone) {
      await setTimeout(5);
      ticks++;
    }
    await sum;
    return { ticks };
  },

  /** The last process is killed in the middle of the others' work. */
  killed: (world) => endingWith(world, () => process.kill(process.pid, "SIGKILL")),
  /** The last process throws what nobody catches. */
  throws: (world) =>
    endingWith(world, () => {
      throw new Error("a mistake of the last process");
    }),
  /** The last process ends as if all were well, without saying goodbye. */
  leaves: (world) => endingWith(world, () => process.exit(0)),
  /** The last process ends all. */
  aborts: (world) => endingWith(world, () => world.abort(7)),
};

async function endingWith(world: Communicator, end: () => void): Promise<Record<string, unknown>> {
  process.stdout.write(`pid ${process.pid}\n`);
  const values = new Float32Array(100_000);
  for (let step = 0; ; step++) {
    if (step === 3 && world.rank === world.size - 1) end();
    await world.sum(values);
  }
}

const world = await openMpi();
const told = await SCENARIOS[process.argv[2]!]!(world);
process.stdout.write(`${JSON.stringify({ rank: world.rank, size: world.size, ...told })}\n`);
await world.close();
