import type { Context } from "../context";
import type { Limit } from "./api";
import { get, post } from "../api";
import { h, replace, setText } from "../element";
import { href } from "../router";
import { customerName, parseCustomer } from "../state";
import { askReason } from "./dialog";
import { suggestions } from "./suggest";

/** The limits where no limit is set, as internal/detect has them. */
export const DEFAULTS = { low: 40, high: 180 } as const;

export type Scope = Limit["scope"];

/** What of a limit its description needs. */
type LimitWords = Pick<Limit, "scope" | "cohort" | "customer_id" | "hours" | "utc_offset">;

export interface LimitsOptions {
  /** Limits of this customer, its cohort and the fleet; absent: of everybody. */
  readonly customer?: string;
  readonly ended?: () => boolean;
  readonly loaded?: (limits: readonly Limit[]) => void;
}

const SCOPE_TEXT: Readonly<Record<Scope, string>> = { person: "One customer", cohort: "A cohort", fleet: "Everybody" };
const COLUMNS = ["For", "Low", "High", "Hours", "Author", "Reason", "From", "Until", "Change"] as const;
const MOST = 1000;

/** Limits of a cohort or of everybody concern many, and take an administrator. */
function mayChange(role: string, scope: Scope): boolean {
  return role === "admin" || (role === "operator" && scope === "person");
}

/** Limits with author and reason, and what the viewer's role may change of them. */
export function limitList(context: Context, { customer, ended = () => false, loaded = () => {} }: LimitsOptions): { element: HTMLElement; load: () => Promise<void> } {
  const { clock, me, signal } = context;
  const rows = h("tbody", {});
  const error = h("p", { class: "error", role: "alert" });
  const done = h("p", { class: "done", role: "status" });
  const none = h("p", { class: "muted", hidden: true }, `No limit is set: the defaults count, low ${DEFAULTS.low} and high ${DEFAULTS.high} bpm.`);
  const change = async (what: string, send: () => Promise<unknown>): Promise<boolean> => {
    setText(error, "");
    setText(done, "");
    let good = false;
    try {
      await send();
      good = true;
      setText(done, `${what} It counts for readings from about five seconds on.`);
    } catch (cause) {
      setText(error, cause instanceof Error ? cause.message : String(cause));
    }
    await load();
    return good;
  };
  const end = async (limit: Limit): Promise<void> => {
    const reason = await askReason(`End the limit of ${whose(limit)}`, "End limit");
    if (reason) await change("Ended.", () => post(`limits/${limit.limit_id}/end`, { reason }));
  };
  const row = (limit: Limit): HTMLElement => {
    const over = limit.ends_at !== undefined && Date.parse(limit.ends_at) <= context.feed.now;
    const reason = limit.end_reason ? `${limit.reason} (ended by ${limit.ended_by}: ${limit.end_reason})` : limit.reason;
    return h("tr", { class: over ? "muted" : null },
      h("td", {}, limit.scope === "person" ? h("a", { href: href("customer", limit.customer_id) }, whose(limit)) : whose(limit)),
      h("td", { class: "number" }, limit.low ?? "–"), h("td", { class: "number" }, limit.high ?? "–"),
      h("td", {}, hoursText(limit)), h("td", {}, limit.author), h("td", { class: "wrap" }, reason),
      h("td", {}, clock.date(limit.effective_from)), h("td", {}, limit.ends_at ? clock.date(limit.ends_at) : "no end"),
      h("td", {}, over ? "over" : mayChange(me.role, limit.scope) ? h("button", { type: "button", onclick: () => void end(limit) }, "End") : limit.scope === "person" ? "" : "administrator"));
  };
  const load = async (): Promise<void> => {
    try {
      const search = new URLSearchParams({ limit: String(MOST), ...(customer ? { customer } : {}), ...(ended() ? { ended: "true" } : {}) });
      const { limits } = await get<{ limits: readonly Limit[] }>(`limits?${search}`, signal);
      replace(rows, ...limits.map(row));
      table.hidden = limits.length === 0;
      none.hidden = customer !== undefined || limits.length > 0;
      loaded(limits);
    } catch (cause) {
      if (!signal.aborted) setText(error, cause instanceof Error ? cause.message : String(cause));
    }
  };
  const table = h("div", { class: "scroll-x", tabindex: "0", role: "region", "aria-label": "Limits", hidden: true },
    h("table", {}, h("thead", {}, h("tr", {}, ...COLUMNS.map((text) => h("th", { scope: "col" }, text)))), rows));
  const timer = setInterval(() => void load(), 15_000); // a limit begins and ends by time alone
  signal.addEventListener("abort", () => clearInterval(timer));
  clock.onChange(() => void load(), signal);
  const form = limitForm(context, customer, (body) => change("Set.", () => post("limits", body)));
  void load();
  const suggested = customer !== undefined && form instanceof HTMLFormElement && suggestions(context, customer, form);
  return { element: h("div", { class: "limit-list" }, none, table, form, suggested, done, error), load };
}

export function whose(limit: LimitWords): string {
  if (limit.scope === "person") return limit.customer_id ?? "";
  return limit.scope === "cohort" ? `cohort ${limit.cohort}` : "everybody";
}

export function hoursText({ hours, utc_offset = 0 }: LimitWords): string {
  if (!hours) return "all day";
  const [sign, minutes] = [utc_offset < 0 ? "−" : "+", Math.abs(utc_offset)];
  return `${hours} UTC${utc_offset === 0 ? "" : `${sign}${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}`}`;
}

/** The fields of a limit, and what a form with them says. */
export interface LimitFields {
  readonly elements: readonly HTMLElement[];
  readonly read: (form: HTMLFormElement) => object;
  readonly reset: (form: HTMLFormElement) => void;
}

/** Fields of a limit of one customer, or of whom the viewer chooses among some scopes. */
export function limitFields({ feed, clock }: Context, scopes: readonly Scope[], customer?: string): LimitFields {
  const number = (name: string, label: string, least: number, most: number): HTMLElement =>
    h("label", { class: "field" }, label, h("input", { type: "number", name, min: least, max: most, inputmode: "numeric", placeholder: `${least}–${most}` }));
  const time = (name: string, label: string): HTMLElement => h("label", { class: "field" }, label, h("input", { type: "time", name }));
  const whoLabel = h("span", {}, "Customer");
  const whoInput = h("input", { name: "who", required: true, maxlength: 100, autocomplete: "off", spellcheck: "false" });
  const who = h("label", { class: "field" }, whoLabel, whoInput);
  const chosen = (): void => {
    who.hidden = scope.value === "fleet";
    whoInput.required = !who.hidden;
    setText(whoLabel, scope.value === "cohort" ? "Cohort" : "Customer");
  };
  const scope = h("select", { name: "scope", onchange: chosen }, ...scopes.map((one) => h("option", { value: one }, SCOPE_TEXT[one])));
  chosen();
  const read = (form: HTMLFormElement): object => {
    const value = (name: string): string => fieldValue(form, name);
    const [from, to] = [value("from"), value("to")];
    const id = parseCustomer(value("who"));
    const subject = customer ? { scope: "person", customer_id: customer } : scope.value === "fleet" ? { scope: "fleet" }
      : scope.value === "cohort" ? { scope: "cohort", cohort: value("who") } : { scope: "person", customer_id: id === undefined ? value("who") : customerName(id) };
    return {
      ...subject,
      ...(value("low") ? { low: Number(value("low")) } : {}), ...(value("high") ? { high: Number(value("high")) } : {}),
      ...(from || to ? { hours: `${from}-${to}`, utc_offset: clock.utc ? 0 : -new Date(feed.now).getTimezoneOffset() } : {}),
    };
  };
  const reset = (form: HTMLFormElement): void => {
    form.reset();
    if (!customer) chosen();
  };
  return {
    elements: [...(customer === undefined ? [h("label", { class: "field" }, "For", scope), who] : []),
      number("low", "Low, bpm", 25, 60), number("high", "High, bpm", 100, 230), time("from", "Daily from (empty: all day)"), time("to", "Daily to")],
    read, reset,
  };
}

export function fieldValue(form: HTMLFormElement, name: string): string {
  return String(new FormData(form).get(name) ?? "").trim();
}

/** The form for a new limit: of one customer on its page, otherwise of whom the viewer chooses and may change. */
function limitForm(context: Context, customer: string | undefined, send: (body: object) => Promise<boolean>): HTMLElement {
  const { feed, me } = context;
  const scopes = (["person", "cohort", "fleet"] as const).filter((scope) => mayChange(me.role, scope));
  if (scopes.length === 0) return h("p", { class: "muted" }, "Changing limits needs the role operator; those of a cohort or of everybody, administrator.");
  const fields = limitFields(context, scopes, customer);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const length = fieldValue(form, "length");
    const good = await send({
      ...fields.read(form), reason: fieldValue(form, "reason"),
      ...(length ? { ends_at: new Date(feed.now + Number(length) * 3_600_000).toISOString() } : {}),
    });
    if (good) fields.reset(form);
  };
  const form = h("form", { class: "toolbar limit-form", "aria-label": customer ? `Set limits of ${customer}` : "Set limits", onsubmit: (event: SubmitEvent) => void submit(event) },
    ...fields.elements,
    h("label", { class: "field" }, "Ends after hours (empty: never)", h("input", { type: "number", name: "length", min: 1, max: 8760, inputmode: "numeric", placeholder: "1–8760" })),
    h("label", { class: "field grow" }, "Reason", h("input", { name: "reason", required: true, maxlength: 500, autocomplete: "off" })),
    h("button", { type: "submit", class: "primary" }, "Set limits"));
  return form;
}
