/** Puts an empty point wherever two items are further apart than they should be, so that no line is drawn across. */
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

/** The places of values between two gaps, which no line would show. */
export function lone(values: ArrayLike<number | null | undefined>): number[] {
  const found: number[] = [];
  let before = -1; // the index of the last value, -1 after a gap
  let joined = false; // whether a line leads to it
  const end = (): void => void (before >= 0 && !joined && found.push(before));
  for (let i = 0; i < values.length; i++) {
    if (values[i] === undefined) continue;
    if (values[i] === null) {
      end();
      [before, joined] = [-1, false];
      continue;
    }
    joined = before >= 0;
    before = i;
  }
  end();
  return found;
}
