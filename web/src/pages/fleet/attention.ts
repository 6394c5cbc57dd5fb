import type { Context } from "../../context";
import type { Fleet } from "../../fleet";
import { brief, count } from "../../format";
import { h, rem, replace, setText } from "../../element";
import { href } from "../../router";
import { State, info, needsAttention } from "../../state";
import { symbol } from "../../glyph";
import { levelBadge } from "../../header";

const ROWS = 16; // where the page scrolls anyway
const FEWEST = 5;
const EVERY = 1000;
const ANNOUNCE_EVERY = 30_000;

/** Customers who need attention, longest first within each priority so that the list stays still; and a summary of the pipeline status. */
export function attention(context: Context): HTMLElement {
  const { feed, signal } = context;
  const headline = h("h2", { class: "headline" }, "Waiting for the first frame…");
  const body = h("tbody", {});
  const container = h("div", { class: "attention-list" },
    h("table", { class: "attention-list" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Customer"), h("th", { scope: "col" }, "State"), h("th", { scope: "col", class: "number" }, "bpm"), h("th", { scope: "col", class: "number" }, "For"))),
      body));
  const rest = h("p", { class: "muted rest" });
  const spoken = h("p", { class: "visually-hidden", role: "status" });
  const health = h("ul", { class: "health-brief" });
  let [shown, announced] = [0, 0];
  feed.on("frame", () => {
    const now = Date.now();
    const fleet = feed.fleet;
    const total = fleet.counts.slice(State.Invalid).reduce((sum, n) => sum + n, 0);
    const text = fleet.seen === 0 ? "No customer seen yet" : total === 0 ? `All ${count(fleet.seen)} are fine` : `${count(total)} of ${count(fleet.seen)} need attention`;
    setText(headline, text);
    if (now - shown < EVERY) return;
    shown = now;
    const worst = longest(fleet, rowsFor(container, body));
    if (now - announced > ANNOUNCE_EVERY) {
      announced = now;
      setText(spoken, text);
    }
    rows(body, context, worst);
    setText(rest, total > worst.length ? `and ${count(total - worst.length)} more: filter the wall by state to see them` : "");
  }, signal);
  feed.on("status", () => replace(health, ...(feed.status?.health ?? []).map((c) =>
    h("li", {}, levelBadge(c.level, c.name), h("span", { class: "muted" }, c.detail)))), signal);
  return h(
    "aside",
    { class: "panel attention", "aria-label": "Needs attention" },
    headline,
    container,
    rest,
    h("h2", { class: "section" }, h("a", { href: href("pipeline") }, "Pipeline")),
    health,
    spoken,
  );
}

/** How many rows fit: the side is as high as the wall, except where the two are stacked. */
function rowsFor(container: HTMLElement, body: HTMLElement): number {
  if (!matchMedia("(min-width: 1000px)").matches) return ROWS;
  const height = (body.firstElementChild as HTMLElement | null)?.offsetHeight ?? 1.5 * rem();
  return Math.max(FEWEST, Math.floor((container.clientHeight - body.offsetTop) / height));
}

/** The slots that need attention: by priority, then those in their state longest. Only the first few are ever in order. */
function longest(fleet: Fleet, limit: number): number[] {
  const { states, sinces, ids } = fleet;
  const rank = (slot: number): number => (states[slot]! >= State.Bradycardia ? 2 : states[slot]! === State.Silent ? 1 : 0);
  const before = (a: number, b: number): boolean =>
    (rank(b) - rank(a) || sinces[a]! - sinces[b]! || ids[a]! - ids[b]!) < 0;
  const found: number[] = [];
  for (let slot = 0; slot < fleet.size; slot++) {
    if (!needsAttention(states[slot]!)) continue;
    if (found.length === limit && !before(slot, found[limit - 1]!)) continue;
    let i = found.length < limit ? found.length : limit - 1;
    for (; i > 0 && before(slot, found[i - 1]!); i--) found[i] = found[i - 1]!;
    found[i] = slot;
  }
  return found;
}

/** Rows are changed in place: focus and reading position survive. */
function rows(body: HTMLElement, { feed }: Context, worst: readonly number[]): void {
  const fleet = feed.fleet;
  while (body.childElementCount > worst.length) body.lastElementChild!.remove();
  worst.forEach((slot, i) => {
    const state = fleet.states[slot]! as State;
    const key = `${slot}.${state}`;
    let row = body.children[i] as HTMLTableRowElement | undefined;
    if (!row) {
      row = h("tr", {}, h("td", {}), h("td", {}), h("td", { class: "number" }), h("td", { class: "number" }));
      body.append(row);
    }
    const [who, what, rate, since] = row.children as unknown as [HTMLElement, HTMLElement, HTMLElement, HTMLElement];
    if (row.dataset["key"] !== key) {
      row.dataset["key"] = key;
      replace(who, h("a", { href: href("customer", fleet.name(slot)) }, fleet.name(slot)));
      replace(what, symbol(state), info(state).label);
    }
    setText(rate, state === State.Silent ? "–" : String(fleet.rates[slot]!));
    setText(since, brief(feed.now - fleet.sinces[slot]!));
  });
}
