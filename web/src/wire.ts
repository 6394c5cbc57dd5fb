/** A frame of the stream, see internal/stream/wire.go. */
export interface Frame {
  readonly t: number; // Unix milliseconds
  readonly from: number;
  readonly to: number;
  readonly n: number;
  readonly untracked: number;
  readonly rate: number;
  readonly counts: readonly number[];
  readonly c: string;
}

export interface Alerts {
  readonly last: number;
  readonly missed: number;
  readonly a: readonly (readonly [customer: number, rate: number, time: number])[];
}

export interface Hello {
  readonly boot: string;
  readonly pool: number;
  readonly version: string;
  readonly replay: boolean;
}

/** Receives one customer's newest value. Times are Unix milliseconds; since is undefined where the state is as before. */
export type Sink = (customer: number, rate: number, silent: boolean, time: number, since: number | undefined) => void;

const SILENT = 1;
const STATE_CHANGED = 2;
const TENTH = 100;

/** Unpacks the changes of a frame made at a time. */
export function unpack(text: string, at: number, sink: Sink): void {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  let i = 0;
  const unsigned = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[i++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  const signed = (): number => {
    const value = unsigned();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  };
  let customer = 0;
  while (i < bytes.length) {
    const gap = unsigned();
    customer += Math.floor(gap / 2);
    const short = bytes[i++]!;
    if (short !== 0) {
      sink(customer, short, false, at, gap % 2 === 1 ? at : undefined);
      continue;
    }
    const flags = bytes[i++]!;
    const rate = signed();
    const time = at - signed() * TENTH;
    const since = flags & STATE_CHANGED ? time - unsigned() * TENTH : undefined;
    sink(customer, rate, (flags & SILENT) !== 0, time, since);
  }
}
