import { h, rem, setText } from "./element";

const SPARE = 8;
/** A browser cannot lay out an element much taller than this. */
const TALLEST = 8_000_000;

export interface VirtualOptions<T> {
  readonly label: string;
  readonly columns: readonly string[];
  readonly row: (item: T, cells: readonly HTMLElement[]) => void;
  readonly more: () => void; // called when the end comes near
  readonly signal: AbortSignal;
}

/** A table of any length of which only the rows in view exist. */
export class VirtualList<T> {
  readonly element: HTMLElement;
  readonly #options: VirtualOptions<T>;
  readonly #scroller = h("div", { class: "virtual-scroll", tabindex: "0", role: "rowgroup" });
  readonly #spacer = h("div", { class: "virtual-spacer", role: "presentation" });
  readonly #empty = h("p", { class: "empty" }, "Nothing yet.");
  readonly #rows: { readonly element: HTMLElement; readonly cells: HTMLElement[] }[] = [];
  #items: readonly T[] = [];
  #height = 32;

  constructor(options: VirtualOptions<T>) {
    this.#options = options;
    this.#scroller.append(this.#spacer, this.#empty);
    this.#scroller.setAttribute("aria-label", options.label);
    this.element = h("div", { class: "virtual", role: "table", "aria-label": options.label },
      h("div", { class: "virtual-row virtual-head", role: "row" }, ...options.columns.map((text) => h("div", { role: "columnheader" }, text))),
      this.#scroller);
    this.#scroller.addEventListener("scroll", () => this.refresh(), { passive: true, signal: options.signal });
    const observer = new ResizeObserver(() => this.refresh());
    observer.observe(this.#scroller);
    options.signal.addEventListener("abort", () => observer.disconnect());
  }

  get atTop(): boolean {
    return this.#scroller.scrollTop < this.#height;
  }

  show(items: readonly T[]): void {
    this.#items = items;
    this.element.setAttribute("aria-rowcount", String(items.length + 1));
    this.#empty.hidden = items.length > 0;
    this.refresh();
  }

  /** Fills the rows in view. */
  refresh(): void {
    this.#height = (parseFloat(getComputedStyle(this.element).getPropertyValue("--row-height")) || 2) * rem();
    this.#spacer.style.height = `${Math.min(this.#items.length * this.#height, TALLEST)}px`;
    const first = Math.max(0, Math.floor(this.#scroller.scrollTop / this.#height) - SPARE);
    const visible = Math.ceil(this.#scroller.clientHeight / this.#height) + 2 * SPARE;
    const last = Math.min(this.#items.length, first + visible);
    for (let i = 0; i < Math.max(last - first, this.#rows.length); i++) {
      const row = this.#row(i);
      const item = this.#items[first + i];
      row.element.hidden = item === undefined || first + i >= last;
      if (row.element.hidden) continue;
      row.element.setAttribute("aria-rowindex", String(first + i + 2));
      row.element.style.transform = `translateY(${(first + i) * this.#height}px)`;
      this.#options.row(item!, row.cells);
    }
    if (last + 4 * SPARE >= this.#items.length) this.#options.more();
  }

  #row(i: number): { readonly element: HTMLElement; readonly cells: HTMLElement[] } {
    let row = this.#rows[i];
    if (!row) {
      const cells = this.#options.columns.map(() => h("div", { role: "cell" }));
      row = { element: h("div", { class: "virtual-row", role: "row" }, ...cells), cells };
      this.#rows.push(row);
      this.#spacer.append(row.element);
    }
    return row;
  }

  set emptyText(text: string) {
    setText(this.#empty, text);
  }
}
