import type { Context } from "../../context";
import type { Limit } from "../../alarms/api";
import { get, post } from "../../api";
import { h, replace, setText } from "../../element";
import { mayAct } from "../../alarms/actions";

const DEFAULTS = { low: 40, high: 180 } as const;
const SCOPES = ["person", "cohort", "fleet"] as const; // the narrowest wins

/** The limits that concern a customer, with author and reason, and the form to change the customer's own. */
export function customerLimits(context: Context, customer: string, draw: (low: number, high: number) => void): HTMLElement {
  const { feed, clock, me, signal } = context;
  const force = h("p", { class: "strong" });
  const rows = h("tbody", {});
  const error = h("p", { class: "error", role: "alert" });
  const done = h("p", { class: "done", role: "status" });
  const allowed = mayAct(me);

  const change = async (what: string, send: () => Promise<unknown>): Promise<void> => {
    setText(error, "");
    setText(done, "");
    try {
      await send();
      setText(done, `${what} It counts for readings from about five seconds on.`);
      form.reset();
    } catch (cause) {
      setText(error, cause instanceof Error ? cause.message : String(cause));
    }
    await load();
  };
  const number = (name: string, label: string, least: number, most: number): HTMLElement =>
    h("label", { class: "field" }, label, h("input", { type: "number", name, min: least, max: most, inputmode: "numeric", placeholder: `${least}–${most}` }));
  const form = h("form", {
    class: "toolbar limit-form", hidden: !allowed, "aria-label": `Set limits of ${customer}`,
    onsubmit: (event: SubmitEvent) => {
      event.preventDefault();
      const fields = new FormData(form);
      const value = (name: string): number | undefined => Number(fields.get(name)) || undefined;
      const hours = value("hours");
      void change("Set.", () => post("limits", {
        scope: "person", customer_id: customer, reason: String(fields.get("reason")).trim(),
        ...(value("low") ? { low: value("low") } : {}), ...(value("high") ? { high: value("high") } : {}),
        ...(hours ? { ends_at: new Date(feed.now + hours * 3_600_000).toISOString() } : {}),
      }));
    },
  }, number("low", "Low, bpm", 25, 60), number("high", "High, bpm", 100, 230), number("hours", "For hours (empty: no end)", 1, 8760),
  h("label", { class: "field grow" }, "Reason", h("input", { name: "reason", required: true, maxlength: 500, autocomplete: "off" })),
  h("button", { type: "submit", class: "primary" }, "Set limits"));

  const row = (limit: Limit): HTMLElement => {
    const end = (): void => {
      const reason = prompt(`Why does this limit of ${customer} end?`)?.trim();
      if (reason) void change("Ended.", () => post(`limits/${limit.limit_id}/end`, { reason }));
    };
    return h("tr", {},
      h("td", {}, limit.scope === "cohort" ? `cohort ${limit.cohort}` : limit.scope === "person" ? customer : "everybody"),
      h("td", { class: "number" }, limit.low ?? "–"), h("td", { class: "number" }, limit.high ?? "–"),
      h("td", {}, limit.hours ?? "all day"), h("td", {}, limit.author), h("td", { class: "wrap" }, limit.reason),
      h("td", {}, clock.date(limit.effective_from)), h("td", {}, limit.ends_at ? clock.date(limit.ends_at) : "no end"),
      h("td", {}, allowed && limit.scope === "person" && h("button", { type: "button", onclick: end }, "End")));
  };
  const load = async (): Promise<void> => {
    try {
      const { limits } = await get<{ limits: readonly Limit[] }>(`limits?customer=${customer}`, signal);
      const [low, high] = [inForce(limits, "low", feed.now), inForce(limits, "high", feed.now)];
      draw(low.value, high.value);
      setText(force, `In force now: low ${low.value} bpm (${low.from}), high ${high.value} bpm (${high.from}).`);
      replace(rows, ...limits.map(row));
      table.hidden = limits.length === 0;
    } catch (cause) {
      if (!signal.aborted) setText(error, cause instanceof Error ? cause.message : String(cause));
    }
  };
  const table = h("div", { class: "scroll-x", tabindex: "0", role: "region", "aria-label": "Limits", hidden: true },
    h("table", {}, h("thead", {}, h("tr", {}, ...["For", "Low", "High", "Hours", "Author", "Reason", "From", "Until", "Change"].map((text) => h("th", { scope: "col" }, text)))), rows));
  const timer = setInterval(() => void load(), 15_000); // a limit begins and ends by time alone
  signal.addEventListener("abort", () => clearInterval(timer));
  clock.onChange(() => void load(), signal);
  void load();
  return h("section", { class: "panel history limits", "aria-label": "Limits" }, h("h2", {}, "Limits"), force, table, form, done, error);
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
