import type { Fleet } from "./fleet";
import { State } from "./state";
import type { Look } from "./look";
import { LOOKS } from "./look";
import type { Ink } from "./glyph";
import { inkOf, pixels } from "./glyph";
import { SMALLEST_PITCH, fittingPitch } from "./pitch";
import { h, rem } from "./element";

const LARGEST_PITCH = 72; // CSS pixels
const LABEL_PITCH = 40; // CSS pixels from which a cell shows its number and rate
const ZOOM_STEP = 1.5;
/** A cell may be this much taller than wide, to use the height that whole pixels leave over. */
const TALLEST_CELL = 1.4;

/**
 * A wall of cells on a canvas. It writes pixels rather than drawing shapes: a cell is copied from a sprite, so a whole wall of a
 * hundred thousand costs a few milliseconds and a frame's changes next to nothing.
 */
export class Wall {
  readonly element: HTMLElement;
  onHover: (slot: number | undefined, x: number, y: number) => void = () => {};
  onFocus: (slot: number | undefined) => void = () => {};
  onOpen: (slot: number) => void = () => {};
  onZoom: (level: number) => void = () => {};

  readonly #fleet: Fleet;
  readonly #scroller = h("div", { class: "wall-scroll", tabindex: "-1", "aria-hidden": "true" });
  readonly #spacer = h("div", { class: "wall-spacer" });
  readonly #canvas = h("canvas", { class: "wall-canvas", "aria-hidden": "true" });
  readonly #ring = h("div", { class: "wall-ring", hidden: true });
  readonly #cell = h("div", { role: "gridcell", id: "wall-cell", class: "visually-hidden" });
  readonly #context: CanvasRenderingContext2D;
  #inks: Ink[] = []; // of each look
  #sprites: (Uint32Array | undefined)[] = []; // of each look, drawn when first needed
  #background = 0;
  #font = "";
  #image: ImageData | undefined;
  #buffer = new Uint32Array(0);
  #order: Int32Array = new Int32Array(0);
  #position = new Int32Array(0);
  #pitch = 8; // width of a cell and its gap, device pixels
  #rise = 8; // height of the same
  #columns = 1;
  #level = 0;
  #top = 0; // device pixels scrolled away
  #width = 7; // of a sprite
  #height = 7;
  #focus: number | undefined; // slot
  #frame = 0;
  #stale = false;
  #arranged = -1; // how many cells the layout is for
  #repaint = true;

  constructor(fleet: Fleet, signal: AbortSignal) {
    this.#fleet = fleet;
    this.#context = this.#canvas.getContext("2d", { alpha: false })!;
    this.#spacer.append(this.#canvas, this.#ring);
    this.#scroller.append(this.#spacer);
    this.element = h(
      "div",
      {
        class: "wall", role: "grid", tabindex: "0", "aria-label": "Wall of customers", "aria-activedescendant": "wall-cell",
        "aria-describedby": "wall-help", "aria-readonly": "true",
      },
      this.#scroller,
      h("div", { role: "row", class: "visually-hidden" }, this.#cell),
      h("p", { id: "wall-help", class: "visually-hidden" },
        "Arrow keys move between customers, Home and End go to the first and last, plus and minus zoom, Enter opens the customer."),
    );
    this.#listen(signal);
  }

  /** Shows these slots in this order. */
  arrange(order: Int32Array): void {
    this.#order = order;
    if (this.#position.length < this.#fleet.ids.length) this.#position = new Int32Array(this.#fleet.ids.length);
    this.#position.fill(-1);
    for (let i = 0; i < order.length; i++) this.#position[order[i]!] = i;
    this.#repaint = true;
    if (order.length === this.#arranged) this.#schedule();
    else this.#layout();
    this.#arranged = order.length;
    this.#positionRing();
  }

  /** Paints slots whose value changed. */
  update(changed: readonly number[]): void {
    if (!this.#repaint) for (const slot of changed) this.#stamp(this.#position[slot] ?? -1);
    this.#schedule();
  }

  set stale(stale: boolean) {
    if (stale === this.#stale) return;
    this.#stale = stale;
    this.element.classList.toggle("stale", stale);
  }

  get zoom(): number {
    return this.#level;
  }

  set zoom(level: number) {
    this.#level = Math.min(Math.max(level, 0), 14);
    this.#layout();
    if (this.#focus !== undefined) this.#reveal(this.#focus);
    this.onZoom(this.#level);
  }

  /** Moves the focus ring to a slot and brings it into view; false when it is filtered away. */
  focusOn(slot: number | undefined): boolean {
    const position = slot === undefined ? -1 : (this.#position[slot] ?? -1);
    this.#focus = position < 0 ? undefined : slot;
    if (this.#focus !== undefined) this.#reveal(this.#focus);
    this.#positionRing();
    this.onFocus(this.#focus);
    return position >= 0;
  }

  describe(text: string): void {
    this.#cell.setAttribute("aria-label", text);
  }

  /** Reads the colours again after the scheme changed. */
  restyle(): void {
    const style = getComputedStyle(this.element);
    this.#background = rgba(style.backgroundColor);
    const gap = this.#pitch >= 24 ? 2 : this.#pitch >= 4 ? 1 : 0;
    this.#width = this.#pitch - gap;
    this.#height = this.#rise - gap;
    this.#inks = Array.from({ length: LOOKS }, (_, look) => inkOf(look, style));
    this.#sprites = Array.from({ length: LOOKS });
    this.#font = style.fontFamily;
    this.#repaint = true;
    this.#schedule();
  }

  #listen(signal: AbortSignal): void {
    const observer = new ResizeObserver(() => this.#layout());
    observer.observe(this.#scroller);
    signal.addEventListener("abort", () => {
      observer.disconnect();
      cancelAnimationFrame(this.#frame);
    });
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", () => this.restyle(), { signal });
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { signal, passive: true });
    this.#scroller.addEventListener("pointermove", (event) => this.onHover(this.#at(event), event.clientX, event.clientY), { signal });
    this.#scroller.addEventListener("pointerleave", () => this.onHover(undefined, 0, 0), { signal });
    this.#scroller.addEventListener("click", (event) => {
      const slot = this.#at(event);
      if (slot === undefined) return;
      if (slot === this.#focus && event.detail > 1) this.onOpen(slot);
      else this.focusOn(slot);
    }, { signal });
    this.#scroller.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return; // a pinch arrives as a wheel with ctrl
      event.preventDefault();
      this.zoom = this.#level - Math.sign(event.deltaY);
    }, { signal, passive: false });
    this.element.addEventListener("keydown", (event) => this.#key(event), { signal });
    this.element.addEventListener("focus", () => this.#focus === undefined && this.focusOn(this.#order[0]), { signal });
  }

  #key(event: KeyboardEvent): void {
    if (event.altKey || event.metaKey || event.ctrlKey) return;
    const position = this.#focus === undefined ? 0 : this.#position[this.#focus]!;
    const rows = Math.max(1, Math.floor(this.#canvas.height / this.#rise) - 1);
    const moves: Record<string, number> = {
      ArrowRight: position + 1, ArrowLeft: position - 1, ArrowDown: position + this.#columns, ArrowUp: position - this.#columns,
      PageDown: position + rows * this.#columns, PageUp: position - rows * this.#columns, Home: 0, End: this.#order.length - 1,
    };
    const to = moves[event.key];
    if (to !== undefined) this.focusOn(this.#order[Math.min(Math.max(to, 0), this.#order.length - 1)]);
    else if (event.key === "+" || event.key === "=") this.zoom = this.#level + 1;
    else if (event.key === "-") this.zoom = this.#level - 1;
    else if (event.key === "0") this.zoom = 0;
    else if (event.key === "Enter" && this.#focus !== undefined) this.onOpen(this.#focus);
    else return;
    event.preventDefault();
  }

  #at(event: MouseEvent): number | undefined {
    const box = this.#canvas.getBoundingClientRect();
    const scale = devicePixelRatio;
    const column = Math.floor(((event.clientX - box.left) * scale) / this.#pitch);
    const row = Math.floor(((event.clientY - box.top) * scale + this.#top) / this.#rise);
    return column >= 0 && column < this.#columns ? this.#order[row * this.#columns + column] : undefined;
  }

  #layout(): void {
    const scale = devicePixelRatio;
    const width = Math.floor(this.#scroller.clientWidth * scale);
    const height = Math.floor(this.#scroller.clientHeight * scale);
    if (width === 0 || height === 0) return;
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
      this.#canvas.style.width = `${width / scale}px`;
      this.#canvas.style.height = `${height / scale}px`;
      this.#image = undefined;
    }
    const fit = fittingPitch(width, height, Math.max(this.#order.length, 1), Math.round(24 * scale));
    const largest = Math.round(LARGEST_PITCH * scale);
    const pitch = Math.max(SMALLEST_PITCH, Math.min(largest, Math.round(fit * ZOOM_STEP ** this.#level)));
    this.#columns = Math.max(1, Math.floor(width / pitch));
    const rows = Math.max(1, Math.ceil(this.#order.length / this.#columns));
    const rise = this.#level > 0 ? pitch : Math.max(pitch, Math.min(Math.floor(height / rows), Math.max(Math.floor(pitch * TALLEST_CELL), pitch + 1)));
    this.#spacer.style.height = `${Math.max(rows * rise, height) / scale}px`;
    const changed = pitch !== this.#pitch || rise !== this.#rise || this.#inks.length === 0;
    [this.#pitch, this.#rise] = [pitch, rise];
    this.#image ??= this.#context.createImageData(width, height);
    this.#buffer = new Uint32Array(this.#image.data.buffer);
    this.#scrolled();
    if (changed) this.restyle();
    this.#positionRing();
  }

  #scrolled(): void {
    this.#top = Math.round(this.#scroller.scrollTop * devicePixelRatio);
    this.#repaint = true;
    this.#schedule();
  }

  #schedule(): void {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#paint();
    });
  }

  #paint(): void {
    if (!this.#image || this.#inks.length === 0) return;
    const first = Math.floor(this.#top / this.#rise) * this.#columns;
    const last = Math.min(this.#order.length, (Math.floor((this.#top + this.#canvas.height) / this.#rise) + 1) * this.#columns);
    if (this.#repaint) {
      this.#repaint = false;
      this.#buffer.fill(this.#background);
      for (let position = first; position < last; position++) this.#stamp(position);
    }
    this.#context.putImageData(this.#image, 0, 0);
    if (this.#pitch >= LABEL_PITCH * devicePixelRatio) this.#write(first, last);
  }

  /** Copies a cell's sprite into the image, cut off at the edges. */
  #stamp(position: number): void {
    if (position < 0 || !this.#image) return;
    const sprite = this.#sprite(this.#fleet.looks[this.#order[position]!]!);
    const [image, size] = [this.#image, this.#width];
    const x = (position % this.#columns) * this.#pitch;
    const y = Math.floor(position / this.#columns) * this.#rise - this.#top;
    const from = Math.max(0, -y);
    const to = Math.min(sprite.length / size, image.height - y);
    for (let row = from; row < to; row++) {
      // Setting pixel by pixel beats copying a subarray of a few.
      for (let i = row * size, at = (y + row) * image.width + x; i < (row + 1) * size; i++, at++) this.#buffer[at] = sprite[i]!;
    }
  }

  #sprite(look: Look): Uint32Array {
    return (this.#sprites[look] ??= pixels(look, this.#width, this.#height, this.#inks[look]!).map((p) => (p >>> 24 === 255 ? p : blend(p, this.#background))));
  }

  #write(first: number, last: number): void {
    const c = this.#context;
    const scale = devicePixelRatio;
    c.textBaseline = "bottom";
    c.font = `600 ${0.8125 * rem() * scale}px ${this.#font}`;
    for (let position = first; position < last; position++) {
      const slot = this.#order[position]!;
      const x = (position % this.#columns) * this.#pitch + 4 * scale;
      const y = Math.floor(position / this.#columns) * this.#rise - this.#top + this.#rise;
      c.fillStyle = this.#inks[this.#fleet.looks[slot]!]!.text;
      c.fillText(this.#fleet.states[slot] === State.Never ? "–" : String(this.#fleet.rates[slot]!), x, y - 4 * scale);
    }
  }

  #reveal(slot: number): void {
    const row = Math.floor(this.#position[slot]! / this.#columns);
    const rise = this.#rise / devicePixelRatio;
    const [top, height] = [row * rise, this.#scroller.clientHeight];
    if (top < this.#scroller.scrollTop) this.#scroller.scrollTop = top;
    else if (top + rise > this.#scroller.scrollTop + height) this.#scroller.scrollTop = top + rise - height;
  }

  #positionRing(): void {
    const position = this.#focus === undefined ? -1 : (this.#position[this.#focus] ?? -1);
    this.#ring.hidden = position < 0;
    if (position < 0) return;
    const [pitch, rise] = [this.#pitch / devicePixelRatio, this.#rise / devicePixelRatio];
    this.#ring.style.width = `${pitch + 3}px`;
    this.#ring.style.height = `${rise + 3}px`;
    this.#ring.style.transform = `translate(${(position % this.#columns) * pitch - 2.5}px, ${Math.floor(position / this.#columns) * rise - 2.5}px)`;
  }
}

/** A computed colour as a pixel of an ImageData, which is little-endian on every machine that runs a browser. */
function rgba(color: string): number {
  const [r = 0, g = 0, b = 0] = (color.match(/[\d.]+/g) ?? []).map(Number);
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

function blend(pixel: number, background: number): number {
  const alpha = (pixel >>> 24) / 255;
  const mix = (shift: number): number => Math.round(((pixel >>> shift) & 255) * alpha + ((background >>> shift) & 255) * (1 - alpha)) << shift;
  return ((255 << 24) | mix(16) | mix(8) | mix(0)) >>> 0;
}
