import type { AlarmChange } from "./alarms/api";
import type { Alerts, Frame, Hello } from "./wire";
import type { PipelineStatus } from "./api";

/** What the stream brings. */
export interface StreamEvents {
  hello: Hello;
  frame: Frame;
  alarms: AlarmChange;
  alerts: Alerts;
  status: PipelineStatus;
}

export type LinkState = "connecting" | "live" | "lost" | "unauthorized";

export interface Handler {
  event<K extends keyof StreamEvents>(name: K, data: StreamEvents[K]): void;
  link(state: LinkState, detail: string): void;
}

const FIRST_RETRY = 500;
const LONGEST_RETRY = 15_000;
/** Four frames a second are due: after this long without one the connection is dead, whatever TCP believes. */
const DEAD_AFTER = 15_000;

/**
 * Follows the server's stream for ever. It uses fetch rather than EventSource, which can neither tell a wrong token from an
 * outage nor spread out the reconnections of many viewers.
 */
export class Stream {
  readonly #handler: Handler;
  #lastEventID = "";
  #failures = 0;
  #abort = new AbortController();
  #timer: number | undefined;
  #wanted = false;

  constructor(handler: Handler) {
    this.#handler = handler;
  }

  start(): void {
    this.stop();
    this.#wanted = true;
    this.#abort = new AbortController();
    void this.#follow(this.#abort);
  }

  stop(): void {
    this.#wanted = false;
    clearTimeout(this.#timer);
    this.#abort.abort();
  }

  async #follow(abort: AbortController): Promise<void> {
    this.#handler.link("connecting", "");
    let watchdog: number | undefined;
    const alive = (): void => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => abort.abort(), DEAD_AFTER);
    };
    let why = "The server ended the stream.";
    try {
      alive();
      const headers: HeadersInit = this.#lastEventID ? { "Last-Event-ID": this.#lastEventID } : {};
      const response = await fetch("api/v1/stream", { headers, signal: abort.signal, cache: "no-store" });
      if (response.status === 401) {
        this.#handler.link("unauthorized", "");
        return;
      }
      if (!response.ok || !response.body) throw new Error(`The server answered ${response.status}.`);
      this.#handler.link("live", "");
      for await (const event of parse(response.body, alive)) this.#deliver(event);
    } catch (error) {
      why = error instanceof Error && error.name !== "AbortError" && error.name !== "TypeError" ? error.message : "The server cannot be reached.";
    } finally {
      clearTimeout(watchdog);
    }
    if (this.#wanted && abort === this.#abort) this.#retry(why);
  }

  #deliver(event: RawEvent): void {
    if (event.id) this.#lastEventID = event.id;
    this.#failures = 0;
    this.#handler.event(event.name as keyof StreamEvents, JSON.parse(event.data) as never);
  }

  /** Waits longer each time, and anywhere in between, so that viewers do not come back in step. */
  #retry(why: string): void {
    const longest = Math.min(FIRST_RETRY * 2 ** this.#failures++, LONGEST_RETRY);
    this.#handler.link("lost", why);
    this.#timer = setTimeout(() => this.start(), longest * (0.5 + Math.random() / 2));
  }
}

interface RawEvent {
  readonly id: string;
  readonly name: string;
  readonly data: string;
}

/** Reads server-sent events, whose fields this server writes as id, event, data. */
export async function* parse(body: ReadableStream<Uint8Array>, alive: () => void): AsyncGenerator<RawEvent> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let pieces: string[] = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    alive();
    pieces.push(value);
    if (!value.includes("\n\n") && !(value.startsWith("\n") && pieces.at(-2)?.endsWith("\n"))) continue;
    const blocks = pieces.join("").split("\n\n");
    pieces = [blocks.pop() ?? ""];
    for (const block of blocks) {
      const event = parseBlock(block);
      if (event) yield event;
    }
  }
}

function parseBlock(block: string): RawEvent | undefined {
  let [id, name, data] = ["", "", ""];
  for (const line of block.split("\n")) {
    if (line.startsWith("data: ")) data = line.slice(6);
    else if (line.startsWith("event: ")) name = line.slice(7);
    else if (line.startsWith("id: ")) id = line.slice(4);
  }
  return name && data ? { id, name, data } : undefined;
}
