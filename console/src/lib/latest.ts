/** Of overlapping questions only the newest may be answered: each ticket aborts and outdates the ones before it. */
export class Latest {
  #number = 0;
  #controller: AbortController | undefined;

  next(): { signal: AbortSignal; isCurrent: () => boolean } {
    this.#controller?.abort();
    const controller = new AbortController();
    const number = ++this.#number;
    this.#controller = controller;
    return { signal: controller.signal, isCurrent: () => number === this.#number };
  }

  /** Outdates what is under way without asking anew. */
  stop(): void {
    this.#number++;
    this.#controller?.abort();
  }
}
