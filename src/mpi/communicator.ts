/**
 * The processes that work on one training together. Calls that involve all of them (`sum`, `broadcast`, `barrier`)
 * must be made in the same order by each; they run one after the other in the background.
 */
export interface Communicator {
  /** Which of the processes this is, from 0. */
  readonly rank: number;
  /** How many there are. */
  readonly size: number;
  /** What carries the messages, for reports. */
  readonly library: string;
  /**
   * Replaces the values by their sums over all processes. All get the same bits, and get them again in a later run
   * with as many processes on as many machines: the library chooses the order of summation by these and the length.
   * Nothing may touch the values until the promise is kept.
   */
  sum(values: Float32Array): Promise<void>;
  /** Replaces the values by those of process `root`, 0 unless named. */
  broadcast(values: Float32Array | Uint8Array, root?: number): Promise<void>;
  /** Waits until every process has come here. */
  barrier(): Promise<void>;
  /** Ends all processes at once, this one included; the job's exit code is `code`, 1 to 255. */
  abort(code: number): never;
  /** Says goodbye: to be called at the end by every process. One that ends without it ends the job as failed. */
  close(): Promise<void>;
}

/** Where something of `length` is cut so that no piece is longer than `most`: the start and end of each piece. */
export function pieces(length: number, most: number): (readonly [start: number, end: number])[] {
  return Array.from({ length: Math.ceil(length / most) }, (_, i) => [
    i * most,
    Math.min((i + 1) * most, length),
  ]);
}
