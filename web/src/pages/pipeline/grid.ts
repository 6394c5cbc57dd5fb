import { h } from "../../element";

/** A table with its own scroll bar where it is too wide. */
export function grid(caption: string, columns: readonly string[], rows: readonly (readonly (string | Node)[])[], numbers: number): HTMLElement {
  const cell = (tag: "th" | "td", content: string | Node, i: number): HTMLElement =>
    h(tag, { class: i >= numbers ? "number" : false, ...(tag === "th" ? { scope: "col" } : {}) }, content);
  return h("div", { class: "scroll-x", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("thead", {}, h("tr", {}, ...columns.map((text, i) => cell("th", text, i)))),
      h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((content, i) => cell("td", content, i)))))));
}
