const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export function count(n: number | null | undefined): string {
  return n === null || n === undefined ? "–" : whole.format(n);
}

/** A count with at most twelve characters. */
export function big(n: number | null | undefined): string {
  return n !== null && n !== undefined && n >= 1e9 ? (n / 1e9).toFixed(3) + " bn" : count(n);
}

export function rate(n: number | null | undefined): string {
  if (n === null || n === undefined) return "–";
  return n >= 100 ? whole.format(n) : one.format(n);
}

/** A number in at most five characters, for axes. */
export function short(n: number): string {
  const size = Math.abs(n);
  if (size >= 1e9) return trim(n / 1e9) + " G";
  if (size >= 1e6) return trim(n / 1e6) + " M";
  if (size >= 1e4) return trim(n / 1e3) + " k";
  return trim(n);
}

function trim(n: number): string {
  return String(Number(n.toPrecision(4)));
}

export function bytes(n: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) [n, unit] = [n / 1024, unit + 1];
  return (unit === 0 ? whole.format(n) : one.format(n)) + " " + units[unit];
}

/** How long ago, in the two units that matter. */
export function duration(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

/** How long ago, in one unit, for narrow columns. */
export function brief(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  return s < 86_400 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86_400)} d`;
}

/** Writes times in the viewer's zone, or in UTC when asked to. */
export class Clock {
  #utc = localStorage.getItem("utc") === "1";
  readonly #listeners = new Set<() => void>();

  get utc(): boolean {
    return this.#utc;
  }

  get zone(): string | undefined {
    return this.#utc ? "UTC" : undefined;
  }

  get zoneName(): string {
    return this.#utc ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone;
  }

  toggle(): void {
    this.#utc = !this.#utc;
    localStorage.setItem("utc", this.#utc ? "1" : "0");
    for (const listener of this.#listeners) listener();
  }

  onChange(listener: () => void, signal: AbortSignal): void {
    this.#listeners.add(listener);
    signal.addEventListener("abort", () => this.#listeners.delete(listener));
  }

  time(at: number | string): string {
    return this.#format(at, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  }

  date(at: number | string): string {
    return this.#format(at, { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" });
  }

  day(at: number | string): string {
    return this.#format(at, { year: "numeric", month: "2-digit", day: "2-digit" });
  }

  #format(at: number | string, options: Intl.DateTimeFormatOptions): string {
    const key = JSON.stringify(options) + this.#utc;
    let format = this.#formats.get(key);
    if (!format) {
      format = new Intl.DateTimeFormat("sv-SE", { ...options, hour12: false, ...(this.#utc ? { timeZone: "UTC" } : {}) });
      this.#formats.set(key, format);
    }
    return format.format(new Date(at));
  }

  readonly #formats = new Map<string, Intl.DateTimeFormat>();
}
