/** One weight that may be kept in several ways, the smallest first. */
export interface BudgetItem<K extends string> {
  readonly name: string;
  readonly choices: readonly { readonly choice: K; readonly bytes: number; readonly error: number }[];
}

/**
 * A choice for every item with a small sum of errors, within `bytes` for all together: from the smallest choices on, what
 * takes away the most error a byte is made larger next, as long as something fits. Where even the smallest do not
 * fit, these are the result.
 */
export function chooseWithin<K extends string>(
  items: readonly BudgetItem<K>[],
  bytes: number,
): Map<string, K> {
  const chosen = new Map(items.map(({ name }) => [name, 0]));
  let left = bytes - items.reduce((sum, { choices }) => sum + choices[0]!.bytes, 0);
  const steps = () =>
    items.flatMap(({ name, choices }) => {
      const now = choices[chosen.get(name)!]!;
      return choices.slice(chosen.get(name)! + 1).map((next, i) => ({
        name,
        to: chosen.get(name)! + 1 + i,
        bytes: next.bytes - now.bytes,
        gain: (now.error - next.error) / (next.bytes - now.bytes),
      }));
    });
  for (;;) {
    const fitting = steps().filter((step) => step.bytes <= left && step.gain > 0);
    if (fitting.length === 0) break;
    const best = fitting.reduce((a, b) => (b.gain > a.gain ? b : a));
    chosen.set(best.name, best.to);
    left -= best.bytes;
  }
  return new Map(items.map(({ name, choices }) => [name, choices[chosen.get(name)!]!.choice]));
}
