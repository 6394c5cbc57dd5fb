import { Fleet } from "./fleet";
import type { Alarm, AlarmChange } from "./alarms/api";
import { AlarmStore } from "./alarms/store";
import { worstFirst } from "./alarms/status";
import { lookOf } from "./look";
import { parseCustomer } from "./state";
import type { Alerts, Frame, Hello } from "./wire";
import type { PipelineStatus } from "./api";
import type { LinkState, StreamEvents } from "./stream";
import { Stream } from "./stream";

/** A live alert. Its id is its number since the server started. */
export interface LiveAlert {
  readonly id: number;
  readonly customer: number;
  readonly rate: number;
  readonly time: number;
}

export type Topic = "hello" | "frame" | "alarms" | "alerts" | "status" | "link";

const STALE_AFTER = 2500;
const KEPT_ALERTS = 2000;
/** A hidden page closes its stream after this long. */
const HIDDEN_AFTER = 60_000;

/** What the stream has brought so far. State flows one way: stream, feed, page. */
export class Feed {
  readonly fleet = new Fleet();
  readonly alarms = new AlarmStore();
  hello: Hello | undefined;
  frame: Frame | undefined;
  status: PipelineStatus | undefined;
  link: LinkState = "connecting";
  linkDetail = "";
  alerts: LiveAlert[] = []; // newest last
  missed = 0;
  received = 0; // when the last frame came, by the viewer's clock
  offset = 0; // the server's clock minus the viewer's
  #marked: number[] = []; // slots whose look changed since the last frame
  readonly #listeners = new Map<Topic, Set<() => void>>();
  readonly #stream = new Stream({
    event: (name, data) => this.#take(name, data),
    link: (state, detail) => {
      this.link = state;
      this.linkDetail = detail;
      this.#notify("link");
    },
  });

  start(): void {
    this.#stream.start();
    let hidden: number | undefined;
    document.addEventListener("visibilitychange", () => {
      clearTimeout(hidden);
      if (document.hidden) hidden = setTimeout(() => this.#stream.stop(), HIDDEN_AFTER);
      else if (this.stale) this.#stream.start();
    });
    setInterval(() => this.#notify("link"), 1000);
  }

  /** Calls a listener at each event of a topic until the signal. */
  on(topic: Topic, listener: () => void, signal: AbortSignal): void {
    const listeners = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, listeners.add(listener));
    signal.addEventListener("abort", () => listeners.delete(listener));
  }

  /** The server's time now. */
  get now(): number {
    return Date.now() + this.offset;
  }

  get stale(): boolean {
    return this.link !== "live" || Date.now() - this.received > STALE_AFTER;
  }

  #take<K extends keyof StreamEvents>(name: K, data: StreamEvents[K]): void {
    switch (name) {
      case "hello":
        this.#greet(data as Hello);
        break;
      case "frame":
        this.#show(data as Frame);
        break;
      case "alarms":
        this.#changeAlarms(data as AlarmChange);
        break;
      case "alerts":
        this.#raise(data as Alerts);
        break;
      case "status":
        this.status = data as PipelineStatus;
        break;
    }
    this.#notify(name);
  }

  #greet(hello: Hello): void {
    if (hello.boot !== this.hello?.boot) {
      this.#reset(hello.pool);
      this.alerts = [];
    }
    this.hello = hello;
  }

  #show(frame: Frame): void {
    this.received = Date.now();
    this.offset = frame.t - this.received;
    if (frame.from === 0) this.#reset(this.hello?.pool ?? 0);
    this.fleet.apply(frame);
    for (const slot of this.#marked) this.fleet.changed.push(slot);
    this.#marked = [];
    this.frame = frame;
  }

  /** Takes in the server's answer to an action, which the stream repeats. */
  answered(alarm: Alarm): void {
    this.alarms.take(alarm);
    this.#mark(alarm.subject);
    this.#notify("alarms");
  }

  #changeAlarms(change: AlarmChange): void {
    for (const subject of this.alarms.apply(change)) this.#mark(subject);
  }

  #reset(pool: number): void {
    this.fleet.reset(pool);
    for (const subject of this.alarms.subjects()) this.#mark(subject);
  }

  /** Shows a customer's worst alarm on the wall, from the next frame on. */
  #mark(subject: string): void {
    const id = parseCustomer(subject);
    if (id === undefined) return;
    const [worst] = this.alarms.of(subject).sort(worstFirst(this.now));
    const slot = this.fleet.mark(id, worst && lookOf(worst, this.now));
    if (slot !== undefined) this.#marked.push(slot);
  }

  #raise(alerts: Alerts): void {
    if (this.alerts.length > 0) this.missed += alerts.missed; // what was before this page is on record
    let id = alerts.last - alerts.a.length;
    for (const [customer, rate, time] of alerts.a) this.alerts.push({ id: ++id, customer, rate, time });
    if (this.alerts.length > 2 * KEPT_ALERTS) this.alerts = this.alerts.slice(-KEPT_ALERTS);
  }

  #notify(topic: Topic): void {
    for (const listener of this.#listeners.get(topic) ?? []) listener();
  }
}
