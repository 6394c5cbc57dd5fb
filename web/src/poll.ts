/** Loads something now and then again and again, as long as the page is visible and until the signal. */
export function poll<T>(every: () => number, load: (signal: AbortSignal) => Promise<T>, done: (value: T) => void, failed: (error: unknown) => void, signal: AbortSignal): () => void {
  let timer: number | undefined;
  let running: AbortController | undefined;
  const again = async (): Promise<void> => {
    clearTimeout(timer);
    running?.abort();
    const mine = (running = new AbortController());
    try {
      if (!document.hidden) {
        const value = await load(AbortSignal.any([signal, mine.signal]));
        if (!mine.signal.aborted && !signal.aborted) done(value);
      }
    } catch (error) {
      if (!mine.signal.aborted && !signal.aborted) failed(error);
    }
    if (!mine.signal.aborted && !signal.aborted) timer = setTimeout(() => void again(), every());
  };
  signal.addEventListener("abort", () => clearTimeout(timer));
  void again();
  return () => void again();
}
