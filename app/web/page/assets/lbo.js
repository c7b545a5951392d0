// A purchase with debt.
import { calculator } from "./calculator.js";
import { el, facts, more, section, table } from "./dom.js";
import { money, percent, times } from "./format.js";

const share = (name, label, hint) => ({ name, label, kind: "percent", hint });
const figure = (name, label) => ({ name, label, kind: "number" });
const tranche = (legend, name) => ({ legend, fields: [share(`${name}Share`, "Part of the debt"), share(`${name}Rate`, "Interest")] });

const groups = [
  { legend: "Purchase", fields: [figure("purchasePrice", "Price, millions"), figure("equityContribution", "Equity put in, millions"), { name: "years", label: "Years held", kind: "integer" }] },
  {
    legend: "Company", fields: [
      figure("revenue", "Revenue, millions"), share("revenueGrowth", "Revenue growth"), share("growthDecay", "Less each year"), share("ebitdaMargin", "EBITDA margin"), share("taxRate", "Tax rate"),
      share("depreciation", "Depreciation"), share("capex", "Investment"), share("workingCapital", "Working capital"),
    ],
  },
  tranche("Senior debt", "senior"), tranche("Mezzanine", "mezzanine"), tranche("High yield", "highYield"),
];

export const title = "Buyout";

export function open() {
  const page = calculator({ endpoint: "/api/lbo", groups, show });
  return { element: el("div", {}, el("p", {}, "What a purchase with borrowed money returns, by the multiple of EBITDA at which it is sold. Amounts are in millions; the last three rates are of revenue."), page.element), close: page.close };
}

function show({ metrics: m, exits, targets, years }) {
  return [
    el("p", { class: "headline" }, "Mean return ", el("output", {}, percent(m.avgIRR))),
    facts([
      ["Debt", money(m.totalDebt)], ["Debt to equity", times(m.leverageRatio)], ["Interest on it", percent(m.wacd)], ["Last EBITDA", money(m.finalEbitda)], ["Debt left", money(m.finalDebt)],
      ["Interest paid", money(m.totalInterestPaid)], ["Debt repaid", money(m.totalPrincipalPaid)], ["Mean multiple of money", times(m.avgMOIC)],
    ]),
    section("Sold at", table("Returns by exit multiple", ["Multiple", "Value", "Equity", "Of money put in", "A year"],
      exits.map((e) => [times(e.multiple), money(e.ev), money(e.equity), times(e.moic), percent(e.irr)]))),
    section("Needed for", table("What a sale must bring", ["Return a year", "Equity", "Value", "Multiple"],
      targets.map((t) => [percent(t.irr), money(t.equity), money(t.ev), times(t.multiple)]))),
    more("Year by year", table("The years held", ["Year", "Revenue", "EBITDA", "Interest", "Tax", "Free cash flow", "Repaid", "Debt", "Cash"],
      years.map((y) => [String(y.year), ...[y.revenue, y.ebitda, y.interest, y.tax, y.fcf, y.principal, y.debt, y.cash].map(money)]))),
  ];
}
