// What a share is worth over a grid of two inputs: a table whose cells are coloured, so that everybody has the figures and most have the picture too.
import { el, scroll, say, section } from "./dom.js";
import { form } from "./form.js";
import { money, percent, price } from "./format.js";
import { get } from "./session.js";

const inputs = [
  ["wacc", "Discount rate"], ["termGrowth", "Terminal growth"], ["taxRate", "Tax rate"], ["s1Growth", "Growth, stage 1"], ["s2Growth", "Growth, stage 2"], ["s3Growth", "Growth, stage 3"],
  ["s1Margin", "Margin, stage 1"], ["s2Margin", "Margin, stage 2"], ["s3Margin", "Margin, stage 3"],
];
const metrics = [["perShare", "Value per share"], ["ev", "Enterprise value"], ["equity", "Equity"], ["tvPct", "Terminal value's share"]];
const shades = 9;

const axis = (n, name, [low, high]) => ({
  legend: n === 1 ? "Down" : "Across",
  fields: [
    { name: `param${n}`, label: "Input", kind: "choice", choices: inputs },
    { name: `param${n}Min`, label: "From", kind: "percent" }, { name: `param${n}Max`, label: "To", kind: "percent" },
  ],
  start: { [`param${n}`]: name, [`param${n}Min`]: low, [`param${n}Max`]: high },
});

// gridSection is the part of a page with the grid around the case that values() gives: {element, close}.
export function gridSection(values) {
  const axes = [axis(1, "wacc", [0.07, 0.12]), axis(2, "termGrowth", [0.01, 0.035])];
  const drawn = el("div");
  const ask = form([...axes, { legend: "Shown", fields: [
    { name: "metric", label: "Figure", kind: "choice", choices: metrics }, { name: "steps", label: "Steps", kind: "choice", choices: [["5", "5"], ["10", "10"], ["20", "20"]] },
  ] }], {
    button: "Draw the map",
    submit: async (asked, signal) => {
      const company = values();
      if (!company) return;
      const { data } = await get("POST", "/api/dcf/sensitivity", { body: { ...company, ...asked, steps: Number(asked.steps) }, signal });
      drawn.replaceChildren(heatmap(data));
      say("The map is drawn.");
    },
  });
  ask.fill({ ...axes[0].start, ...axes[1].start, metric: "perShare", steps: "10" });
  return { element: section("Sensitivity", ask.element, drawn), close: () => ask.stop() };
}

const label = (list, name) => list.find(([n]) => n === name)?.[1] ?? name;

// heatmap is the table of an answer. The cell nearest to the case itself is framed and says so.
export function heatmap(d) {
  const format = d.metric === "tvPct" ? percent : d.metric === "perShare" ? price : money;
  const known = d.cells.flat().filter((v) => v !== null);
  const least = Math.min(...known), most = Math.max(...known);
  const own = [nearest(d.values1, d.params[d.param1]), nearest(d.values2, d.params[d.param2])];
  const cell = (v, i, j) => {
    const here = i === own[0] && j === own[1];
    return el("td", { class: `heat ${v === null ? "none" : `h${shade(v, least, most)}`}${here ? " own" : ""}`, title: here ? "nearest to the case" : undefined }, format(v), here && el("span", { class: "only-heard" }, " nearest to the case"));
  };
  const name = `${label(metrics, d.metric)} by ${label(inputs, d.param1).toLowerCase()} (down) and ${label(inputs, d.param2).toLowerCase()} (across)`;
  return scroll(name, el("table", { class: "heatmap" },
    el("caption", {}, known.length === 0 ? `${name}: no case of these has a value` : `${name}: ${format(least)} to ${format(most)}`),
    el("thead", {}, el("tr", {}, el("td"), d.values2.map((v) => el("th", { scope: "col" }, percent(v))))),
    el("tbody", {}, d.cells.map((row, i) => el("tr", {}, el("th", { scope: "row" }, percent(d.values1[i])), row.map((v, j) => cell(v, i, j))))),
  ));
}

// shade is 0 for the least to shades-1 for the most; the middle where all are the same.
export function shade(v, least, most) {
  if (!(most > least)) return (shades - 1) / 2;
  return Math.min(shades - 1, Math.floor(((v - least) / (most - least)) * shades));
}

// nearest is the index of the value that is nearest, -1 where the case has none or lies outside.
export function nearest(list, v) {
  if (v === null || v === undefined || v < list[0] - 1e-9 || v > list.at(-1) + 1e-9) return -1;
  return list.reduce((best, x, i) => (Math.abs(x - v) < Math.abs(list[best] - v) ? i : best), 0);
}
