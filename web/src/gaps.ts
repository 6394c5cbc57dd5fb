/** Puts an empty place wherever two items are further apart than they should be, so that no line is drawn across. */
export function withGaps<T>(items: readonly T[], atOf: (item: T) => number, longest: number) {
  const at: number[] = [];
  const kept: (T | undefined)[] = [];
  for (const item of items) {
    const now = atOf(item);
    const before = at.at(-1);
    if (before !== undefined && now - before > longest) {
      at.push((before + now) / 2);
      kept.push(undefined);
    }
    at.push(now);
    kept.push(item);
  }
  return { at, column: (value: (item: T) => number | null | undefined): (number | null | undefined)[] => kept.map((item) => (item === undefined ? null : value(item))) };
}
