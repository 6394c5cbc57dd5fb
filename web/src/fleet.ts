import type { Frame } from "./wire";
import { unpack } from "./wire";
import type { Group, Look } from "./look";
import { GROUP_OF, RANKS, RANK_OF } from "./look";
import { State, customerName, stateOf } from "./state";

/**
 * The newest value of every customer, in flat arrays: a hundred thousand objects would make the collector visible.
 * A slot is an index into the arrays: customers 1 to pool first, others behind them as they appear.
 */
export class Fleet {
  size = 0;
  ids = new Uint32Array(0);
  rates = new Int32Array(0);
  states = new Uint8Array(0);
  times = new Float64Array(0); // of the reading, Unix milliseconds, 0 when there is none
  sinces = new Float64Array(0);
  /** What each cell shows: the worst open alarm, otherwise the state. */
  looks = new Uint8Array(0);
  readonly counts: number[] = Array.from({ length: 9 }, () => 0);
  /** Customers by the group of their look. */
  readonly groups: number[] = Array.from({ length: 9 }, () => 0);
  /** Slots changed by the last frame. */
  changed: number[] = [];
  #pool = 0;
  #extra = new Map<number, number>();
  #sorted: Int32Array = new Int32Array(0);

  /** Drops all customers and expects customers 1 to pool. */
  reset(pool: number): void {
    this.#pool = pool;
    this.#extra.clear();
    this.size = 0;
    this.#grow(pool);
    this.counts.fill(0);
    this.groups.fill(0);
    for (let id = 1; id <= pool; id++) this.#add(id);
    this.changed = [];
    this.#sorted = new Int32Array(0);
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
        if (this.looks[slot] === before) this.#show(slot, state);
      }
      this.rates[slot] = rate;
      this.states[slot] = state;
      this.times[slot] = time;
      if (since !== undefined) this.sinces[slot] = since;
      else if (state !== before) this.sinces[slot] = time;
      this.changed.push(slot);
    });
  }

  /** Shows an alarm on a customer's cell, or the state where there is none, and returns the slot where that changes the cell. */
  mark(id: number, alarm: Look | undefined): number | undefined {
    const slot = alarm === undefined ? this.find(id) : this.#slot(id);
    if (slot === undefined) return undefined;
    const look = alarm ?? this.states[slot]!;
    if (this.looks[slot] === look) return undefined;
    this.#show(slot, look);
    return slot;
  }

  find(id: number): number | undefined {
    if (id >= 1 && id <= this.#pool) return id - 1;
    return this.#extra.get(id);
  }

  name(slot: number): string {
    return customerName(this.ids[slot]!);
  }

  /** All slots in the order of their customers. */
  byID(): Int32Array {
    if (this.#sorted.length !== this.size) {
      const ids = this.ids;
      this.#sorted = Int32Array.from({ length: this.size }, (_, slot) => slot).sort((a, b) => ids[a]! - ids[b]!);
    }
    return this.#sorted;
  }

  /** Customers of whom a reading is known. */
  get seen(): number {
    return this.size - this.counts[State.Never]!;
  }

  #show(slot: number, look: Look): void {
    this.groups[GROUP_OF[this.looks[slot]!]!]!--;
    this.groups[GROUP_OF[look]!]!++;
    this.looks[slot] = look;
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
    this.rates[slot] = this.states[slot] = this.looks[slot] = this.times[slot] = this.sinces[slot] = 0;
    this.counts[State.Never]!++;
    this.groups[GROUP_OF[State.Never]!]!++;
    return slot;
  }

  #grow(capacity: number): void {
    const copy = <T extends { set(from: T): void }>(from: T, to: T): T => (to.set(from), to);
    const size = Math.max(capacity, this.size);
    this.ids = copy(this.ids.subarray(0, this.size), new Uint32Array(size));
    this.rates = copy(this.rates.subarray(0, this.size), new Int32Array(size));
    this.states = copy(this.states.subarray(0, this.size), new Uint8Array(size));
    this.times = copy(this.times.subarray(0, this.size), new Float64Array(size));
    this.looks = copy(this.looks.subarray(0, this.size), new Uint8Array(size));
    this.sinces = copy(this.sinces.subarray(0, this.size), new Float64Array(size));
  }
}

export type Order = "worst" | "id";

/**
 * Slots in the order of the wall, only those in the groups asked for; an empty choice means all. It runs with every frame: plain
 * loops over flat arrays, and a counting sort, keep a hundred thousand within a few milliseconds.
 */
export function arrange(fleet: Fleet, order: Order, chosen: ReadonlySet<Group>): Int32Array<ArrayBuffer> {
  const all = fleet.byID();
  const looks = fleet.looks;
  // The bucket of a look, 0 for one that is not wanted.
  const key = Uint8Array.from(RANK_OF, (rank, look) => (chosen.size > 0 && !chosen.has(GROUP_OF[look]!) ? 0 : order === "id" ? 1 : rank + 1));
  const starts = new Int32Array(RANKS + 2);
  for (let i = 0; i < all.length; i++) starts[key[looks[all[i]!]!]! + 1]!++;
  const unwanted = starts[1]!;
  starts[1] = 0;
  for (let i = 2; i < starts.length; i++) starts[i]! += starts[i - 1]!;
  const sorted = new Int32Array(all.length - unwanted);
  for (let i = 0; i < all.length; i++) {
    const slot = all[i]!;
    const bucket = key[looks[slot]!]!;
    if (bucket > 0) sorted[starts[bucket]!++] = slot;
  }
  return sorted;
}
