import type { Context } from "../context";
import type { Suggestion } from "./api";
import { get } from "../api";
import { h, replace } from "../element";

/** How many days the server wants before it suggests limits, as internal/suggest has it. */
const LEAST_DAYS = 7;

/** A button that asks for limits from the customer's own readings. One of them can be put into the form, where a person sets it. */
export function suggestions({ feed, clock, signal }: Context, customer: string, form: HTMLFormElement): HTMLElement {
  const answer = h("div", { role: "status" });
  const ask = async (): Promise<void> => {
    const offset = clock.utc ? 0 : -new Date(feed.now).getTimezoneOffset();
    try {
      const { suggestions } = await get<{ suggestions: readonly Suggestion[] }>(`limits/suggested?customer=${customer}&utc_offset=${offset}`, signal);
      replace(answer, ...suggestions.map((one) => line(one, form)));
    } catch (cause) {
      if (!signal.aborted) replace(answer, h("p", { class: "error" }, cause instanceof Error ? cause.message : String(cause)));
    }
  };
  return h("div", { class: "limit-suggestions" },
    h("button", { type: "button", onclick: () => void ask() }, "Suggest limits"), answer);
}

function line(one: Suggestion, form: HTMLFormElement): HTMLElement {
  const { days, p0_1, p1, p50, p99, p99_9 } = one.evidence;
  const hours = one.hours ?? "all day";
  if (!one.enough) return h("p", { class: "muted" }, `${hours}: too little is known, ${days} of ${LEAST_DAYS} days have enough readings.`);
  return h("p", {},
    h("b", {}, `${hours}: ${one.low} to ${one.high} bpm `),
    h("span", { class: "muted" }, `from ${days} days with medians of ${p50}, 98 % of them ${p1} to ${p99}, 99.8 % ${p0_1} to ${p99_9} bpm `),
    h("button", { type: "button", onclick: () => fill(form, one) }, "Put into the form"));
}

function fill(form: HTMLFormElement, one: Suggestion): void {
  const [from = "", to = ""] = (one.hours ?? "").split("-");
  const values: Readonly<Record<string, string>> = { low: String(one.low), high: String(one.high), from, to, reason: `from ${one.evidence.days} days of readings` };
  for (const [name, value] of Object.entries(values)) {
    const field = form.elements.namedItem(name);
    if (field instanceof HTMLInputElement) field.value = value;
  }
}
