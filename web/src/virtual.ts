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
  /** Makes the list a grid of rows that can be selected, one of them current. The owner moves it by keys. The text begins the ids of rows. */
  readonly grid?: string;
  readonly decorate?: (item: T, row: HTMLElement) => void; // of a grid
}

/** A table of any length of which only the rows in view exist. */
export class VirtualList<T> {
  readonly element: HTMLElement;
  readonly #options: VirtualOptions<T>;
  readonly #scroller = h("div", { class: "virtual-scroll", tabindex: "0", role: "rowgroup" });
  readonly #spacer = h("div", { class: "virtual-spacer", role: "presentation" });
  readonly #emptyText = h("span", {}, "Nothing yet.");
  readonly #empty: HTMLElement;
  readonly #rows: { readonly element: HTMLElement; readonly cells: HTMLElement[] }[] = [];
  #items: readonly T[] = [];
  #height = 32;

  constructor(options: VirtualOptions<T>) {
    this.#options = options;
    const grid = options.grid !== undefined;
    // A rowgroup must have a row, so an empty table says in a row that it is empty.
    this.#emptyText.setAttribute("role", grid ? "presentation" : "cell");
    this.#empty = h("div", { class: "empty", role: grid ? null : "row" }, this.#emptyText);
    this.#scroller.append(this.#spacer, this.#empty);
    this.#scroller.setAttribute("aria-label", options.label);
    const head = h("div", { class: "virtual-row virtual-head", role: grid ? null : "row", "aria-hidden": grid ? "true" : null },
      ...options.columns.map((text) => h("div", { role: grid ? null : "columnheader" }, text)));
    this.element = h("div", { class: "virtual", role: grid ? null : "table", "aria-label": grid ? null : options.label }, head, this.#scroller);
    this.#scroller.addEventListener("scroll", () => this.refresh(), { passive: true, signal: options.signal });
    const observer = new ResizeObserver(() => this.refresh());
    observer.observe(this.#scroller);
    options.signal.addEventListener("abort", () => observer.disconnect());
  }

  get atTop(): boolean {
    return this.#scroller.scrollTop < this.#height;
  }

  /** What holds the rows, and the focus. */
  get scroller(): HTMLElement {
    return this.#scroller;
  }

  /** The index of the row that an element is in. */
  indexOf(element: Element): number | undefined {
    const row = element.closest<HTMLElement>(".virtual-row[aria-rowindex]");
    return row ? Number(row.dataset["index"]) : undefined;
  }

  /** Scrolls a row into view. */
  reveal(index: number): void {
    const [top, height] = [index * this.#height, this.#scroller.clientHeight];
    if (top < this.#scroller.scrollTop) this.#scroller.scrollTop = top;
    else if (top + this.#height > this.#scroller.scrollTop + height) this.#scroller.scrollTop = top + this.#height - height;
    this.refresh();
  }

  /** How many rows fit. */
  get page(): number {
    return Math.max(1, Math.floor(this.#scroller.clientHeight / this.#height) - 1);
  }

  show(items: readonly T[]): void {
    this.#items = items;
    if (this.#options.grid === undefined) this.element.setAttribute("aria-rowcount", String(items.length + 1));
    else {
      this.#scroller.setAttribute("role", items.length > 0 ? "grid" : "group");
      if (items.length > 0) {
        this.#scroller.setAttribute("aria-multiselectable", "true");
        this.#scroller.setAttribute("aria-rowcount", String(items.length));
      } else for (const name of ["aria-multiselectable", "aria-rowcount"]) this.#scroller.removeAttribute(name); // a group may not have them
    }
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
      row.element.setAttribute("aria-rowindex", String(first + i + (this.#options.grid === undefined ? 2 : 1)));
      row.element.dataset["index"] = String(first + i);
      row.element.style.transform = `translateY(${(first + i) * this.#height}px)`;
      this.#options.row(item!, row.cells);
      this.#options.decorate?.(item!, row.element);
    }
    if (last + 4 * SPARE >= this.#items.length) this.#options.more();
  }

  #row(i: number): { readonly element: HTMLElement; readonly cells: HTMLElement[] } {
    let row = this.#rows[i];
    if (!row) {
      const grid = this.#options.grid;
      const cells = this.#options.columns.map(() => h("div", { role: grid === undefined ? "cell" : "gridcell" }));
      row = { element: h("div", { class: "virtual-row", role: "row", id: grid === undefined ? null : `${grid}-${i}` }, ...cells), cells };
      this.#rows.push(row);
      this.#spacer.append(row.element);
    }
    return row;
  }

  set emptyText(text: string) {
    setText(this.#emptyText, text);
  }
}
