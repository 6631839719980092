/** Lets those who ask for the same at the same time share one answer. */
export class Shared {
  readonly #running = new Map<
    string,
    { answer: Promise<unknown>; waiting: number; abort: AbortController }
  >();

  /**
   * Runs `ask` unless what `key` names is being asked already. The request is aborted when everybody who
   * waits for it has given up.
   */
  run<T>(key: string, signal: AbortSignal | undefined, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    let entry = this.#running.get(key);
    if (!entry) {
      const abort = new AbortController();
      const forget = () => {
        if (this.#running.get(key)?.abort === abort) this.#running.delete(key);
      };
      const answer = ask(abort.signal).finally(forget);
      entry = { answer, waiting: 0, abort };
      this.#running.set(key, entry);
    }
    const joined = entry;
    joined.waiting += 1;
    signal?.addEventListener('abort', () => {
      joined.waiting -= 1;
      if (joined.waiting === 0) {
        this.#running.delete(key);
        joined.abort.abort();
      }
    });
    return joined.answer as Promise<T>;
  }
}
