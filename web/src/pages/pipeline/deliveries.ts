import type { Context } from "../../context";
import type { Delivery, DeliveryPage, Destination } from "../../api";
import { get, post } from "../../api";
import { mayAct } from "../../alarms/actions";
import { count, duration } from "../../format";
import { h, replace, setText } from "../../element";
import { levelBadge } from "../../header";
import { poll } from "../../poll";
import { grid } from "./grid";

const EVERY = 5000;
const STATES = ["", "pending", "dead", "withdrawn", "sent"] as const;

/** Messages to people: what waits for each destination, which messages were given up, and sending them again. */
export function deliveries(context: Context): HTMLElement {
  const { signal, clock, feed, me } = context;
  let state: (typeof STATES)[number] = "";
  const chips = h("div", { class: "chips", role: "group", "aria-label": "State" });
  const destinations = h("div", {});
  const list = h("div", { class: "scroll-y" });
  const note = h("p", { class: "muted", role: "status" });
  const outcome = h("p", { role: "status" });
  const retry: Retry = (path, label) => {
    if (!mayAct(me)) return "";
    const button = h("button", { type: "button", class: "quiet", "aria-label": label }, "Retry");
    button.addEventListener("click", () => {
      button.disabled = true;
      post<{ retried: number }>(path).then(
        (result) => setText(outcome, `${count(result.retried)} sent again.`),
        (cause: unknown) => setText(outcome, cause instanceof Error ? cause.message : String(cause)),
      ).finally(again);
    });
    return button;
  };
  const choose = (): void => replace(chips, ...STATES.map((s) => h("button", {
    type: "button", class: "chip", "aria-pressed": String(s === state), onclick: () => {
      state = s;
      choose();
      again();
    },
  }, h("span", { class: "chip-label" }, s || "all"))));
  const again = poll(
    () => EVERY,
    (stop) => get<DeliveryPage>(`deliveries?limit=50${state ? `&state=${state}` : ""}`, stop),
    (page) => {
      replace(destinations, page.destinations.length > 0 && grid("Destinations", ["Destination", "State", "Oldest", "", "Queued", "Pending", "Dead"],
        page.destinations.map((d) => destination(d, feed.now, retry)), 4));
      replace(list, page.deliveries.length > 0 && grid("Deliveries", ["Created", "Destination", "Type", "Priority", "State", "Error", "", "Alarms", "Attempts"],
        page.deliveries.map((d) => row(d, clock.date(d.created_at), retry)), 7));
      const unrouted = page.unrouted_events > 0 ? ` ${count(page.unrouted_events)} events wait for a notifier: start \`heartbeat notify\` if this stays.` : "";
      setText(note, (page.deliveries.length === 0 ? "No messages." : page.deliveries.length === 50 ? "The newest 50 are shown." : "") + unrouted);
    },
    (cause) => setText(note, cause instanceof Error ? cause.message : String(cause)),
    signal,
  );
  choose();
  return h("section", { class: "panel", "aria-label": "Notifications" },
    h("h2", {}, "Notifications"), destinations, chips, list, note, outcome);
}

/** A button that sends messages again, for people who may. */
type Retry = (path: string, label: string) => HTMLElement | "";

function destination(d: Destination, now: number, retry: Retry): (string | Node)[] {
  const state = d.disabled_since ? levelBadge("down", `disabled: ${d.error}`) : d.error ? levelBadge("warn", d.error) : d.storm ? levelBadge("warn", "storm: digests only") : "works";
  const button = d.disabled_since || d.dead > 0 ? retry(`destinations/${encodeURIComponent(d.name)}/retry`, `Retry all of ${d.name}`) : "";
  return [d.name, state, d.oldest ? duration(now - Date.parse(d.oldest)) : "–", button, count(d.queued), count(d.pending), count(d.dead)];
}

function row(d: Delivery, created: string, retry: Retry): (string | Node)[] {
  const state = d.state === "dead" ? levelBadge("down", d.state) : d.state;
  const button = d.state === "dead" ? retry(`deliveries/${d.delivery_id}/retry`, `Retry the message to ${d.destination} of ${created}`) : "";
  return [created, d.destination, d.type, d.priority, state, d.error || "–", button, count(d.alarms), count(d.attempts)];
}
