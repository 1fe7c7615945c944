/** Events that come from callbacks while a generator is busy. */
export class SideEvents<T> {
  readonly #waiting: T[] = [];
  #wake: () => void = () => {};

  push(event: T): void {
    this.#waiting.push(event);
    this.#wake();
  }

  /** The events and the result of `source`, between them the events pushed while it was being waited for. */
  async *mergeInto<R>(source: AsyncGenerator<T, R, void>): AsyncGenerator<T, R, void> {
    try {
      for (;;) {
        const next = source.next();
        let settled = false;
        const finished = next.then(
          () => true,
          () => true,
        );
        while (!settled) {
          const pushed = new Promise<false>((resolve) => {
            this.#wake = () => resolve(false);
          });
          if (this.#waiting.length === 0) settled = await Promise.race([finished, pushed]);
          yield* this.#waiting.splice(0);
        }
        const { done, value } = await next;
        if (done) return value;
        yield value;
      }
    } finally {
      await source.return(undefined as never);
    }
  }
}
