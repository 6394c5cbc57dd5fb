import type { Context } from "../context";
import type { AlertPage } from "../api";
import { get } from "../api";
import { count, duration } from "../format";
import { h, replace, setText } from "../element";
import { href } from "../router";
import { State, customerName, info, stateOf, stateOfClass } from "../state";
import { symbol } from "../glyph";
import { VirtualList } from "../virtual";

interface Alert {
  readonly customer: string;
  readonly rate: number;
  readonly state: State;
  readonly time: number;
}

const MOST = 20_000;
const PAGE = 200;
const SHOW_EVERY = 1000;

/** The feed of anomalies: new ones from the stream on top, stored ones below as the viewer goes down. */
export function anomaliesPage(root: HTMLElement, context: Context): void {
  const { feed, clock, signal } = context;
  const chosen = new Set<State>();
  let all: Alert[] = []; // newest first
  let waiting: Alert[] = []; // arrived while paused, newest last
  let paused = false;
  let next: string | null = "";
  let loading = false;
  let lastSeen = feed.alerts.at(-1)?.id ?? 0;
  let shown = 0;

  const list = new VirtualList<Alert>({
    label: "Anomalies, newest first", columns: ["Time", "Age", "Anomaly", "bpm", "Customer", "Severity"],
    row: (alert, cells) => fill(alert, cells, context), more: () => void more(), signal,
  });
  const status = h("span", { class: "muted", role: "status" });
  const error = h("p", { class: "error", role: "alert" });
  const pause = h("button", { type: "button", id: "pause", "aria-pressed": "false", onclick: () => setPaused(!paused) }, "Pause");
  const filtered = (): Alert[] => (chosen.size === 0 ? all : all.filter((alert) => chosen.has(alert.state)));

  const show = (): void => {
    shown = Date.now();
    list.show(filtered());
    const missed = feed.missed > 0 ? ` ${count(feed.missed)} more came too fast to list; Customer and Trends have them all.` : "";
    setText(status, paused ? `Paused. ${count(waiting.length)} new.` : `${count(filtered().length)} listed.${missed}`);
  };
  const setPaused = (to: boolean): void => {
    paused = to;
    if (!paused) {
      all = waiting.toReversed().concat(all).slice(0, MOST);
      waiting = [];
    }
    pause.setAttribute("aria-pressed", String(paused));
    setText(pause, paused ? "Resume" : "Pause");
    show();
  };
  const more = async (): Promise<void> => {
    if (loading || next === null || all.length >= MOST) return;
    loading = true;
    try {
      const page = await get<AlertPage>(`alerts?limit=${PAGE}${next ? `&before=${next}` : ""}`, signal);
      next = page.next;
      const known = new Set(all.slice(-PAGE * 4).map(key));
      all = all.concat(page.alerts.map(fromStored).filter((alert) => !known.has(key(alert))));
      setText(error, "");
      show();
    } catch (cause) {
      if (!signal.aborted) setText(error, cause instanceof Error ? cause.message : String(cause));
    } finally {
      loading = false;
    }
  };

  feed.on("alerts", () => {
    const fresh = feed.alerts.filter((alert) => alert.id > lastSeen).map((alert) => ({
      customer: customerName(alert.customer), rate: alert.rate, state: stateOf(alert.rate), time: alert.time,
    }));
    lastSeen = feed.alerts.at(-1)?.id ?? lastSeen;
    waiting.push(...fresh);
    if (waiting.length > MOST) waiting = waiting.slice(-MOST);
    if (!paused && list.atTop && Date.now() - shown > SHOW_EVERY / 2) setPaused(false);
    else if (paused || !list.atTop) setText(status, `${paused ? "Paused" : "Holding still while you read"}. ${count(waiting.length)} new.`);
  }, signal);
  feed.on("hello", () => (lastSeen = 0), signal);
  feed.on("link", () => list.refresh(), signal);
  clock.onChange(() => list.refresh(), signal);

  const filters = [State.Tachycardia, State.Bradycardia, State.Invalid].map((state) => {
    const button = h("button", {
      type: "button", class: "chip", "aria-pressed": "false",
      onclick: () => {
        if (!chosen.delete(state)) chosen.add(state);
        button.setAttribute("aria-pressed", String(chosen.has(state)));
        show();
      },
    }, symbol(state), h("span", { class: "chip-label" }, info(state).label));
    return button;
  });
  replace(
    root,
    h("div", { class: "toolbar" }, h("h1", {}, "Anomalies"), h("div", { class: "chips", role: "group", "aria-label": "Show only" }, ...filters),
      pause, status, error),
    h("section", { class: "panel list-panel" }, list.element),
  );
  list.show([]);
  void more();
}

function key(alert: Alert): string {
  return `${alert.customer} ${alert.rate} ${alert.time}`;
}

function fromStored(anomaly: AlertPage["alerts"][number]): Alert {
  return {
    customer: anomaly.customer_id, rate: anomaly.heart_rate, state: stateOfClass(anomaly.anomaly_type),
    time: Date.parse(anomaly.event_timestamp),
  };
}

const SEVERITY: Partial<Record<State, string>> = {
  [State.Tachycardia]: "HIGH — heart rate dangerously fast",
  [State.Bradycardia]: "LOW — heart rate dangerously slow",
  [State.Invalid]: "SENSOR ERROR — value outside physiological range",
};

function fill(alert: Alert, cells: readonly HTMLElement[], { feed, clock }: Context): void {
  const [time, age, what, rate, who, severity] = cells as [HTMLElement, HTMLElement, HTMLElement, HTMLElement, HTMLElement, HTMLElement];
  if (time.dataset["at"] !== `${alert.time} ${clock.utc}`) {
    time.dataset["at"] = `${alert.time} ${clock.utc}`;
    replace(time, h("span", { class: "day" }, clock.day(alert.time) + " "), clock.time(alert.time));
  }
  setText(age, duration(feed.now - alert.time));
  if (what.dataset["state"] !== String(alert.state)) {
    what.dataset["state"] = String(alert.state);
    replace(what, symbol(alert.state), h("b", {}, info(alert.state).label));
    setText(severity, SEVERITY[alert.state] ?? "");
  }
  if (who.textContent !== alert.customer) replace(who, h("a", { href: href("customer", alert.customer) }, alert.customer));
  setText(rate, String(alert.rate));
}
