/** What a frame of the film is made of: one drawn frame, or two that are mixed. Numbers are frames of the film. */
export interface Tween {
  readonly frame: number;
  /** The drawn frame before, which gets less and less; absent where `next` stands alone. */
  readonly previous: number | undefined;
  readonly next: number;
  /** Of `next`, above 0. */
  readonly share: number;
}

/** The frames that are drawn: every `cadence`-th. */
export function drawnFrames(frames: number, cadence: number): number[] {
  return Array.from({ length: Math.ceil(frames / cadence) }, (_, i) => i * cadence);
}

/**
 * Frame k of the film with cadence N (Deforum's turbo mode): drawn frame a = N floor(k / N) and the one before it, both
 * moved on to k, mixed by (k - a + 1) / N. With cadence 1 every frame is the drawn one.
 */
export function tweenOf(frame: number, cadence: number): Tween {
  const next = cadence * Math.floor(frame / cadence);
  const share = (frame - next + 1) / cadence;
  const alone = share >= 1 || next === 0;
  return { frame, previous: alone ? undefined : next - cadence, next, share: alone ? 1 : share };
}
