import type { Context } from "../../context";
import type { Limit } from "../../alarms/api";
import { DEFAULTS, limitList } from "../../alarms/limits";
import { h, setText } from "../../element";
import { href } from "../../router";

const SCOPES = ["person", "cohort", "fleet"] as const; // the narrowest wins

/** The limits that concern a customer, which of them count now, and the form to change the customer's own. */
export function customerLimits(context: Context, customer: string, draw: (low: number, high: number) => void): HTMLElement {
  const { feed } = context;
  const force = h("p", { class: "strong" });
  const list = limitList(context, {
    customer,
    loaded: (limits) => {
      const [low, high] = [inForce(limits, "low", feed.now), inForce(limits, "high", feed.now)];
      draw(low.value, high.value);
      setText(force, `In force now: low ${low.value} bpm (${low.from}), high ${high.value} bpm (${high.from}).`);
    },
  });
  return h("section", { class: "panel history limits", "aria-label": "Limits" },
    h("div", { class: "toolbar limit-head" }, h("h2", {}, "Limits"), h("a", { href: href("limits") }, "All limits")), force, list.element);
}

/** The value that counts now: of the narrowest scope a limit of certain hours before one of the whole day, then the one in force latest. */
function inForce(limits: readonly Limit[], side: "low" | "high", now: number): { value: number; from: string } {
  const current = limits.filter((limit) => limit[side] !== undefined && Date.parse(limit.effective_from) <= now && (!limit.ends_at || Date.parse(limit.ends_at) > now) && within(limit, now));
  for (const scope of SCOPES) {
    const [first] = current.filter((limit) => limit.scope === scope).sort((a, b) => Number(Boolean(b.hours)) - Number(Boolean(a.hours)) ||
      Date.parse(b.effective_from) - Date.parse(a.effective_from) || b.limit_id - a.limit_id);
    if (first) return { value: first[side]!, from: `${scope === "person" ? "own" : scope}, set by ${first.author}: ${first.reason}` };
  }
  return { value: DEFAULTS[side], from: "default" };
}

function within({ hours, utc_offset = 0 }: Limit, now: number): boolean {
  const match = /^(\d\d):(\d\d)-(\d\d):(\d\d)$/.exec(hours ?? "");
  if (!match) return true;
  const [from, to] = [Number(match[1]) * 60 + Number(match[2]), Number(match[3]) * 60 + Number(match[4])];
  const minute = ((Math.floor(now / 60_000) + utc_offset) % 1440 + 1440) % 1440;
  return from < to ? minute >= from && minute < to : minute >= from || minute < to;
}
