import type { Context } from "../context";
import type { Customer, Minutes, Range, Readings } from "../api";
import { get } from "../api";
import { duration } from "../format";
import { h, replace, setText } from "../element";
import { poll } from "../poll";
import { rangeOf, rangePicker, secondsOf } from "../ranges";
import { amend, go, href } from "../router";
import { State, customerName, info, parseCustomer, stateOf, stateOfClass } from "../state";
import { symbol } from "../glyph";
import { customerAlarms } from "./customer/alarms";
import { customerDevice } from "./customer/device";
import { customerLimits } from "./customer/limits";
import { Trace } from "./customer/trace";

/** One customer: the newest reading, the raw trace with its limits, minute by minute, and the data to take away. */
export function customerPage(root: HTMLElement, context: Context): void {
  const id = parseCustomer(context.route.subject);
  if (id === undefined) choose(root, context);
  else show(root, context, id);
}

function finder(value: string): HTMLElement {
  const input = h("input", { type: "search", name: "id", value, placeholder: "CUST_00042", "aria-label": "Customer id", autocomplete: "off", spellcheck: "false", maxlength: 14, required: true });
  const submit = (event: Event): void => {
    event.preventDefault();
    const id = parseCustomer(input.value);
    if (id === undefined) input.setCustomValidity("An id is CUST_ and 5 to 9 digits, or just the number.");
    else go(href("customer", customerName(id)));
    input.reportValidity();
  };
  return h("form", { class: "search", role: "search", onsubmit: submit, oninput: () => input.setCustomValidity("") }, input, h("button", { type: "submit" }, "Show"));
}

function choose(root: HTMLElement, { route }: Context): void {
  replace(root, h("div", { class: "empty" },
    h("h1", {}, route.subject ? `${route.subject} is not a customer's id` : "Which customer?"),
    h("p", {}, "Type an id, click a cell on the wall, or follow a link in the alerts."),
    finder("")));
}

function show(root: HTMLElement, context: Context, id: number): void {
  const { feed, clock, route, signal } = context;
  const name = customerName(id);
  let range: Range = rangeOf(route.query.get("range"));
  const now = h("div", { class: "vital" });
  const error = h("p", { class: "error", role: "alert" });
  const note = h("p", { class: "muted", role: "status" });
  const trace = new Trace(clock, signal);
  const downloads = h("span", { class: "segments" });
  const link = (format: string): HTMLElement =>
    h("a", { class: "button", download: true, href: `api/v1/customers/${name}/export?format=${format}&from=${new Date(feed.now - secondsOf(range) * 1000).toISOString()}` }, format.toUpperCase());
  const offer = (): void => replace(downloads, link("csv"), link("ndjson"), link("fhir"));

  const vital = (): void => {
    const slot = feed.fleet.find(id);
    if (slot !== undefined && feed.fleet.states[slot] !== State.Never) {
      const state = feed.fleet.states[slot]! as State;
      showVital(now, context, state, feed.fleet.rates[slot]!, feed.fleet.sinces[slot]!, feed.fleet.times[slot]!);
    }
  };
  feed.on("frame", () => {
    const slot = feed.fleet.find(id);
    if (slot === undefined || !feed.fleet.changed.includes(slot)) return;
    vital();
    const rate = feed.fleet.rates[slot]!;
    if (feed.fleet.states[slot] !== State.Silent) trace.add(feed.fleet.times[slot]! / 1000, rate, stateOf(rate));
  }, signal);
  feed.on("link", vital, signal);
  clock.onChange(vital, signal);

  const again = poll(
    () => (range === "15m" ? 10_000 : 30_000),
    (stop) => load(name, range, feed.now, stop),
    ([readings, minutes]) => {
      setText(error, "");
      setText(note, readings?.truncated ? "The range holds more readings than can be drawn: the newest are shown. The minutes below are complete." : "");
      trace.show(readings, minutes, feed.now / 1000, secondsOf(range));
    },
    (cause) => setText(error, cause instanceof Error ? cause.message : String(cause)),
    signal,
  );
  const picker = rangePicker(range, (to) => {
    range = to;
    amend(href("customer", name, { range }));
    offer();
    again();
  });
  offer();
  replace(
    root,
    h("div", { class: "toolbar" }, h("h1", {}, name), finder(name), picker, h("span", { class: "spacer" }), h("span", { class: "search" }, h("span", { class: "muted" }, "Download"), downloads)),
    now, customerDevice(context, name), customerAlarms(context, name, (moments) => trace.moments(moments)), error, note, trace.element,
    customerLimits(context, name, (low, high) => trace.limits(low, high)),
  );
  void first(name, now, context).then(vital);
}

/** Asks for the rest once; the trace's range decides what is loaded of it. */
async function load(name: string, range: Range, now: number, signal: AbortSignal): Promise<[Readings | undefined, Minutes]> {
  const from = new Date(now - secondsOf(range) * 1000).toISOString();
  const minutes = get<Minutes>(`customers/${name}/minutes?from=${from}`, signal);
  const readings = range === "7d" ? undefined : get<Readings>(`customers/${name}/readings?from=${from}&limit=20000`, signal);
  return [await readings, await minutes];
}

async function first(name: string, element: HTMLElement, context: Context): Promise<void> {
  try {
    const customer = await get<Customer>(`customers/${name}`, context.signal);
    const { live, stored } = customer;
    if (live) showVital(element, context, stateOfClass(live.state), live.heart_rate, Date.parse(live.since), Date.parse(live.event_timestamp));
    else if (stored) showVital(element, context, stateOf(stored.heart_rate), stored.heart_rate, Date.parse(stored.event_timestamp), Date.parse(stored.event_timestamp));
    else replace(element, h("p", { class: "empty" }, `No reading of ${name} has arrived yet.`));
  } catch (cause) {
    if (!context.signal.aborted) replace(element, h("p", { class: "empty" }, cause instanceof Error ? cause.message : String(cause)));
  }
}

function showVital(element: HTMLElement, { feed, clock }: Context, state: State, rate: number, since: number, read: number): void {
  const what = info(state);
  if (element.dataset["state"] !== what.name) {
    element.dataset["state"] = what.name;
    replace(element,
      h("span", { class: "vital-rate" }), h("span", { class: "vital-unit" }, "bpm"),
      h("span", { class: `vital-state priority-${what.priority}` }, symbol(state), h("b", {}, what.label), h("span", { class: "muted" }, what.range)),
      h("span", { class: "vital-since" }), h("span", { class: "vital-read" }));
  }
  setText(element.querySelector(".vital-rate")!, String(rate));
  setText(element.querySelector(".vital-since")!, `${what.label} since ${clock.time(since)}, ${duration(feed.now - since)}`);
  setText(element.querySelector(".vital-read")!, `Last seen ${clock.date(read)}, ${duration(feed.now - read)} ago`);
}
