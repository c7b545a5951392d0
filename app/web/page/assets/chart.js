// Drawings. Each says in words what it shows; the figures themselves are in a table beside it, which is for everybody. Text is not in the drawings, so that these can be as wide as there is room.
import { el, svg } from "./dom.js";

const width = 600, height = 180;

// bars draws values, which may be below zero, over names. marks are {at (0 to 1), kind}: lines across, as for quantiles.
export function bars({ label, values, low, middle, high, marks = [] }) {
  const most = Math.max(0, ...values), least = Math.min(0, ...values);
  const scale = most - least > 0 ? height / (most - least) : 0;
  const step = width / values.length, zero = most * scale;
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    values.map((v, i) => svg("rect", { x: i * step + step * 0.06, width: step * 0.88, y: v < 0 ? zero : zero - v * scale, height: Math.abs(v) * scale, class: v < 0 ? "bar below" : "bar" })),
    svg("line", { x1: 0, x2: width, y1: zero, y2: zero, class: "axis" }),
    marks.map((m) => svg("line", { x1: m.at * width, x2: m.at * width, y1: 0, y2: height, class: `mark ${m.kind}` })));
  return el("figure", {}, drawing, el("figcaption", { "aria-hidden": "true" }, el("span", {}, low), el("span", {}, middle ?? ""), el("span", {}, high)));
}
