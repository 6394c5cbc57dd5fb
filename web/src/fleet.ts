import type { Frame } from "./wire";
import { unpack } from "./wire";
import { State, customerName, stateOf } from "./state";

/**
 * The newest value of every customer, in flat arrays: a hundred thousand objects would make the collector visible.
 * A slot is a place in the arrays; customers 1 to pool have theirs in order, others behind them as they appear.
 */
export class Fleet {
  size = 0;
  ids = new Uint32Array(0);
  rates = new Int32Array(0);
  states = new Uint8Array(0);
  times = new Float64Array(0); // of the reading, Unix milliseconds, 0 when there is none
  sinces = new Float64Array(0);
  readonly counts: number[] = Array.from({ length: 9 }, () => 0);
  /** Slots changed by the last frame. */
  changed: number[] = [];
  #pool = 0;
  #extra = new Map<number, number>();

  /** Forgets everybody and expects customers 1 to pool. */
  reset(pool: number): void {
    this.#pool = pool;
    this.#extra.clear();
    this.size = 0;
    this.#grow(pool);
    this.counts.fill(0);
    for (let id = 1; id <= pool; id++) this.#add(id);
    this.changed = [];
  }

  apply(frame: Frame): void {
    this.changed = [];
    unpack(frame.c, frame.t, (id, rate, silent, time, since) => {
      const slot = this.#slot(id);
      const state = silent ? State.Silent : stateOf(rate);
      const before = this.states[slot]!;
      if (state !== before) {
        this.counts[before]!--;
        this.counts[state]!++;
      }
      this.rates[slot] = rate;
      this.states[slot] = state;
      this.times[slot] = time;
      if (since !== undefined) this.sinces[slot] = since;
      else if (state !== before) this.sinces[slot] = time;
      this.changed.push(slot);
    });
  }

  find(id: number): number | undefined {
    if (id >= 1 && id <= this.#pool) return id - 1;
    return this.#extra.get(id);
  }

  name(slot: number): string {
    return customerName(this.ids[slot]!);
  }

  /** Customers of whom a reading is known. */
  get seen(): number {
    return this.size - this.counts[State.Never]!;
  }

  #slot(id: number): number {
    const found = this.find(id);
    if (found !== undefined) return found;
    if (this.size === this.ids.length) this.#grow(Math.max(1024, this.size * 2));
    this.#extra.set(id, this.size);
    return this.#add(id);
  }

  #add(id: number): number {
    const slot = this.size++;
    this.ids[slot] = id;
    this.rates[slot] = this.states[slot] = this.times[slot] = this.sinces[slot] = 0;
    this.counts[State.Never]!++;
    return slot;
  }

  #grow(capacity: number): void {
    const copy = <T extends { set(from: T): void }>(from: T, to: T): T => (to.set(from), to);
    const room = Math.max(capacity, this.size);
    this.ids = copy(this.ids.subarray(0, this.size), new Uint32Array(room));
    this.rates = copy(this.rates.subarray(0, this.size), new Int32Array(room));
    this.states = copy(this.states.subarray(0, this.size), new Uint8Array(room));
    this.times = copy(this.times.subarray(0, this.size), new Float64Array(room));
    this.sinces = copy(this.sinces.subarray(0, this.size), new Float64Array(room));
  }
}

export type Order = "worst" | "id";

/** Slots in the order of the wall, only those in the states asked for; an empty choice means all. */
export function arrange(fleet: Fleet, order: Order, chosen: ReadonlySet<State>): Int32Array<ArrayBuffer> {
  const all = byID(fleet);
  const wanted = (slot: number): boolean => chosen.size === 0 || chosen.has(fleet.states[slot]!);
  if (order === "id") return all.filter(wanted);
  // A counting sort: stable, and cheap enough for a hundred thousand once a second.
  const starts = new Int32Array(10);
  for (const slot of all) if (wanted(slot)) starts[9 - fleet.states[slot]!]!++;
  for (let i = 1; i < starts.length; i++) starts[i]! += starts[i - 1]!;
  const sorted = new Int32Array(starts[9]!);
  for (const slot of all) if (wanted(slot)) sorted[starts[8 - fleet.states[slot]!]!++] = slot;
  return sorted;
}

function byID(fleet: Fleet): Int32Array<ArrayBuffer> {
  const slots = new Int32Array(fleet.size);
  let sorted = true;
  for (let slot = 0; slot < slots.length; slot++) {
    slots[slot] = slot;
    if (slot > 0 && fleet.ids[slot - 1]! > fleet.ids[slot]!) sorted = false;
  }
  return sorted ? slots : slots.sort((a, b) => fleet.ids[a]! - fleet.ids[b]!);
}
