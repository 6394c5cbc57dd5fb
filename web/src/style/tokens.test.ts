import { describe, expect, test } from "vitest";
import css from "./tokens.css?raw";

/** Custom properties with a plain colour, of the light scheme and of the dark one, which changes some of them. */
function schemes(): Record<string, Map<string, string>> {
  const [light = "", dark = ""] = css.split("@media (prefers-color-scheme: dark)");
  const read = (text: string): [string, string][] => [...text.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})/g)].map((m) => [m[1]!, m[2]!]);
  return { light: new Map(read(light)), dark: new Map([...read(light), ...read(dark)]) };
}

function luminance(color: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16) / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** The contrast of WCAG 2.2. */
function contrast(a: string, b: string): number {
  const [lighter = 0, darker = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (lighter + 0.05) / (darker + 0.05);
}

const STATES = ["low", "elevated", "very-high", "invalid", "silent", "bradycardia", "tachycardia"];
const TEXT: readonly (readonly [string, string])[] = [
  ...["text", "muted"].flatMap((text) => ["bg", "panel", "raised"].map((on) => [text, on] as const)),
  ["link", "panel"], ["selected-text", "selected"], ["selected-text", "high"], ["high", "bg"], ["high", "panel"],
  ["warn-text", "panel"], ["limit", "panel"], ["text-resting", "cell-resting"],
  ...["high", "medium", "low"].flatMap((priority) => [
    [`on-alarm-${priority}`, `alarm-${priority}`] as const, ...["cell-seen", "panel", "raised"].map((on) => [`ink-${priority}`, on] as const)]),
  ...STATES.map((state) => [`text-${state}`, `cell-${state}`] as const),
];
const MARKS: readonly (readonly [string, string])[] = [
  ...["focus", "border-strong"].flatMap((line) => ["bg", "panel", "raised"].map((on) => [line, on] as const)),
  ...["ok", "line", "line-2", "series-tachycardia", "series-bradycardia", "series-invalid", "mark-never-seen"].map((mark) => [mark, "panel"] as const),
  ["mark-anomaly", "cell-resting"],
  ...STATES.map((state) => [`mark-${state}`, `cell-${state}`] as const),
];

// What is drawn on a canvas is out of reach for a checker of pages.
describe.each(Object.entries(schemes()))("in %s mode", (_, colors) => {
  test.each(TEXT)("%s can be read on %s", (text, on) => expect(contrast(colors.get(text)!, colors.get(on)!)).toBeGreaterThanOrEqual(4.5));
  test.each(MARKS)("%s can be told from %s", (mark, on) => expect(contrast(colors.get(mark)!, colors.get(on)!)).toBeGreaterThanOrEqual(3));
});
