import type { AlarmEvent } from "./api";
import type { Clock } from "../format";
import { h } from "../element";
import { EVENTS, PRIORITY_TEXT } from "./status";

/** What happened to an alarm, oldest first, with who did it and why. */
export function historyTable(history: readonly AlarmEvent[], clock: Clock): HTMLElement {
  return h("div", { class: "scroll-x", tabindex: "0", role: "region", "aria-label": "History" },
    h("table", { id: "history" },
      h("thead", {}, h("tr", {}, ...["When", "What", "By", "Value", "Note"].map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, ...history.map((event) => h("tr", {},
        h("td", {}, clock.date(event.at)),
        h("td", {}, h("b", {}, EVENTS[event.kind]), event.priority ? ` ${PRIORITY_TEXT[event.priority]}` : ""),
        h("td", {}, event.actor ?? "Heartbeat"),
        h("td", {}, measured(event)),
        h("td", { class: "wrap" }, detail(event, clock)))))));
}

function measured({ value, limit }: AlarmEvent): string {
  if (value === undefined) return "";
  return limit === undefined ? String(value) : `${value}, limit ${limit}`;
}

function detail(event: AlarmEvent, clock: Clock): string {
  const parts = [event.note ?? ""];
  if (event.until) parts.push(`until ${clock.time(event.until)}`);
  if (event.kind === "assigned") parts.push(event.assignee ? `to ${event.assignee}` : "assignment taken back");
  if (event.kind === "escalated") parts.push(`to tier ${event.tier}`);
  return parts.filter(Boolean).join(", ");
}
