import type { Context } from "../../context";
import { big, count, rate } from "../../format";
import { h, setText } from "../../element";
import { href } from "../../router";

/** The totals over the wall. They come from the database, except events per second, which the live view counts. */
export function figures({ feed, signal }: Context): HTMLElement {
  const figure = (id: string, label: string, note: string, link?: string) => {
    const value = h("dd", { id: `figure-${id}`, class: "figure-value" }, "–");
    const box = h("div", { class: "figure", title: note }, h("dt", {}, link ? h("a", { href: link }, label) : label), value);
    return { box, value };
  };
  const f = {
    active: figure("active", "Active, 60 min", "Customers with a stored reading in the last 60 minutes"),
    valid: figure("valid", "Valid records", "Rows of heartbeat_records"),
    anomalies: figure("anomalies", "Anomalies", "Rows of heartbeat_anomalies"),
    recent: figure("recent", "Anomalies, 5 min", "Anomalies of the last five minutes", href("anomalies")),
    events: figure("events", "Events/s", "Readings per second as they arrive on the topic"),
    lag: figure("lag", "Lag", "Records on the topic that are not stored yet", href("pipeline")),
    unaccounted: figure("unaccounted", "Unaccounted", "Offsets that are neither stored nor dead-lettered nor skipped: must be 0", href("pipeline")),
    letters: figure("letters", "Dead letters", "Records that are not readings and were not replayed", href("pipeline")),
  };
  const mark = (box: HTMLElement, level: string): void => {
    if (box.dataset["level"] !== level) box.dataset["level"] = level;
  };
  feed.on("frame", () => setText(f.events.value, rate(feed.frame?.rate)), signal);
  feed.on("status", () => {
    const status = feed.status!;
    const totals = status.totals;
    setText(f.active.value, count(totals?.active_customers_last_60_min));
    setText(f.valid.value, big(totals?.valid_records));
    setText(f.anomalies.value, big(totals?.anomaly_records));
    setText(f.recent.value, count(totals?.anomalies_last_5_min));
    setText(f.letters.value, count(totals?.dead_letters_pending));
    setText(f.lag.value, count(status.lag));
    setText(f.unaccounted.value, totals ? count(status.unaccounted) : "–");
    const consumer = status.health.find((c) => c.name === "consumer");
    mark(f.lag.box, consumer?.level ?? "ok");
    mark(f.unaccounted.box, status.unaccounted === 0 ? "ok" : "down");
  }, signal);
  return h("dl", { class: "figures", "aria-label": "Totals" }, ...Object.values(f).map((one) => one.box));
}
