// Valuation by discounted cash flow, with what it hangs on: a map of two inputs, a simulation, and keeping the result.
import { calculator } from "./calculator.js";
import { bars } from "./chart.js";
import { el, facts, more, section, table } from "./dom.js";
import { money, number, percent, price, times } from "./format.js";
import { gridSection } from "./heatmap.js";
import { simulation } from "./montecarlo.js";
import { keeping } from "./keep.js";
import { get } from "./session.js";

const share = (name, label, more = {}) => ({ name, label, kind: "percent", ...more });
const figure = (name, label, more = {}) => ({ name, label, kind: "number", ...more });

const stage = (n, end) => ({
  legend: `Stage ${n}`,
  fields: [
    ...(end ? [{ name: end, label: "Last year", kind: "integer" }] : []),
    share(`s${n}Growth`, "Growth", { optional: true }), share(`s${n}Margin`, "Operating margin", { optional: true }),
    figure(`s${n}S2C`, "Sales to capital", { optional: true }), share(`s${n}NWC`, "Working capital", { optional: true }),
  ],
});

const groups = [
  { legend: "Company", fields: [figure("revenue", "Revenue, millions"), figure("netDebt", "Net debt, millions"), figure("shares", "Shares, millions")] },
  {
    legend: "Forecast",
    fields: [
      { name: "years", label: "Years", kind: "integer" }, share("taxRate", "Tax rate"), share("wacc", "Discount rate"),
      { name: "tvMethod", label: "Terminal value by", kind: "choice", choices: [["perpetuity", "growth for ever"], ["multiple", "a multiple"]] },
      share("termGrowth", "Terminal growth"), figure("tvMultipleVal", "Terminal multiple", { optional: true }),
    ],
  },
  stage(1, "stage1End"), stage(2, "stage2End"), stage(3),
  {
    legend: "Where a stage says nothing, and how it is reckoned", folded: true,
    fields: [
      share("growthY1", "First growth"), share("growthDecay", "Less each year"), share("ebitMargin", "Margin"), figure("salesToCap", "Overall sales to capital"),
      { name: "compat", label: "Count growth and margins below zero as zero", kind: "check" },
    ],
  },
];

export const title = "Valuation";

// open makes the page. With ?run=ID it begins with the inputs of a run that was kept.
export async function open({ query, signal }) {
  const id = query.get("run");
  const start = id ? caseOf((await get("GET", `/api/runs/${encodeURIComponent(id)}`, { signal })).data.inputs) : {};
  const page = calculator({ endpoint: "/api/dcf", groups, show, start });
  const values = () => page.form.read();
  const grid = gridSection(values), sim = simulation(values);
  return {
    element: el("div", {},
      el("p", {}, "Three stages of growth, then a terminal value. Amounts are in millions; an empty stage field takes the company-wide figure."),
      page.element, grid.element, sim.element, keeping(() => ({ values: values(), simulated: sim.result() }))),
    close: () => { page.close(); grid.close(); sim.close(); },
  };
}

// caseOf are a run's inputs that are this form's: a run may hold any others besides.
export function caseOf(inputs) {
  const names = new Set(groups.flatMap((g) => g.fields.map((f) => f.name)));
  return Object.fromEntries(Object.entries(inputs).filter(([name]) => names.has(name)));
}

function show(data) {
  const { totals, kpis, series, warnings } = data;
  return [
    el("p", { class: "headline" }, "Value per share ", el("output", { id: "per-share" }, price(totals.perShare))),
    facts([
      ["Enterprise value", money(totals.ev)], ["Equity", money(totals.equity)], ["Flows until the last year", money(totals.sumPvFcff)],
      ["Terminal value, today", money(totals.pvTv)], ["Terminal value's share", percent(totals.tvPct)],
    ]),
    warnings.length > 0 && el("ul", { class: "warnings" }, warnings.map((w) => el("li", {}, `${labelOf(w.field)}: ${w.message}`))),
    section("Cash flow to the firm", bars({
      label: `Free cash flow by year, from ${money(series.fcff[0])} to ${money(series.fcff.at(-1))}`, values: series.fcff, low: "year 1", high: `year ${series.fcff.length}`,
    }), more("Year by year", years(series))),
    more("Key figures", facts([
      ["Return on reinvestment", times(kpis.roic)], ["Share reinvested", percent(kpis.reinvestRate)], ["Growth of the flows", percent(kpis.fcffCAGR)],
      ["Half the value by year", kpis.payback === 0 ? "never" : number(kpis.payback)], ["Value to last profit", times(kpis.evNopat)],
    ])),
  ];
}

const labelOf = (name) => groups.flatMap((g) => g.fields.map((f) => ({ ...f, label: g.legend.startsWith("Stage") ? `${g.legend}, ${f.label.toLowerCase()}` : f.label })))
  .find((f) => f.name === name)?.label ?? name;

function years(s) {
  const rows = [
    ["Revenue", s.rev, money], ["Growth", s.growths, percent], ["Margin", s.margins, percent], ["Operating profit", s.ebit, money], ["After tax", s.nopat, money],
    ["Working capital", s.nwc, money], ["Its change", s.deltaNwc, money], ["Investment", s.capexProxy, money], ["Reinvested", s.reinvest, money], ["Free cash flow", s.fcff, money],
    ["Present value", s.pvFcff, money],
  ];
  return table("The forecast", ["Millions", ...s.rev.map((_, i) => `Year ${i + 1}`)], rows.map(([name, list, format]) => [name, ...list.map(format)]));
}
