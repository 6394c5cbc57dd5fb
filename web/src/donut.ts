import { count, short } from "./format";
import { h, replace, svg } from "./element";

export interface Share {
  readonly label: string;
  readonly value: number;
  readonly color: string; // a custom property of the style sheet
}

const RADIUS = 40;
const AROUND = 2 * Math.PI * RADIUS;

/** Shares of a whole as a ring, with the figures in a table beside it. */
export function donut(): { readonly element: HTMLElement; show(shares: readonly Share[]): void } {
  const ring = svg("svg", { viewBox: "0 0 120 120", class: "donut", "aria-hidden": "true" });
  const table = h("table", { class: "donut-table" });
  const element = h("figure", { class: "chart panel donut-panel" },
    h("figcaption", {}, h("span", { class: "chart-title" }, "Anomalies by type"), h("span", { class: "muted" }, "in the range")),
    h("div", { class: "donut-box" }, ring, table));
  return {
    element,
    show(shares) {
      const total = shares.reduce((sum, share) => sum + share.value, 0);
      let from = 0;
      const arcs = shares.map((share) => {
        const length = total === 0 ? 0 : (share.value / total) * AROUND;
        const arc = svg("circle", {
          cx: 60, cy: 60, r: RADIUS, class: "donut-arc", stroke: `var(${share.color})`,
          "stroke-dasharray": `${Math.max(length - 1.5, 0)} ${AROUND}`, "stroke-dashoffset": -from, transform: "rotate(-90 60 60)",
        });
        from += length;
        return arc;
      });
      const middle = svg("text", { x: 60, y: 60, class: "donut-total" });
      middle.textContent = total < 1e5 ? count(total) : short(total);
      ring.replaceChildren(svg("circle", { cx: 60, cy: 60, r: RADIUS, class: "donut-track" }), ...arcs, middle);
      replace(table, h("tbody", {}, ...shares.map((share) => {
        const mark = h("span", { class: "swatch swatch-box", "aria-hidden": "true" });
        mark.style.color = `var(${share.color})`;
        return h("tr", {}, h("th", { scope: "row" }, mark, share.label), h("td", { class: "number" }, count(share.value)),
          h("td", { class: "number muted" }, total === 0 ? "–" : `${((100 * share.value) / total).toFixed(1)} %`));
      })));
    },
  };
}
