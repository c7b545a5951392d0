// What a purchase does to earnings per share.
import { calculator } from "./calculator.js";
import { el, facts } from "./dom.js";
import { money, number, percent, price, times } from "./format.js";

const share = (name, label) => ({ name, label, kind: "percent" });
const figure = (name, label, more = {}) => ({ name, label, kind: "number", ...more });
const company = (legend, name) => ({
  legend, fields: [figure(`${name}Revenue`, "Revenue"), figure(`${name}EBITDA`, "EBITDA"), figure(`${name}Shares`, "Shares"), figure(`${name}NetDebt`, "Net debt"), figure(`${name}DA`, "Depreciation"), figure(`${name}Interest`, "Interest")],
});

const groups = [
  company("Buyer", "acquirer"), company("Target", "target"),
  {
    legend: "Deal", fields: [
      figure("purchasePrice", "Price"), figure("cash", "In cash, % of it"), figure("stock", "In shares, % of it"), figure("acquirerSharePrice", "Buyer's share price", { optional: true }),
      figure("synergies", "Synergies a year"), { name: "synergyYears", label: "For years", kind: "integer" }, figure("integrationCost", "Integration cost"),
      share("taxRate", "Tax rate"), share("debtRate", "Interest on borrowed cash"), share("cashYield", "Yield lost on cash"), share("discountRate", "Discount rate of synergies"),
      {
        name: "compat", label: "Reckon as the original", kind: "check",
        hint: "The original issues shares at the buyer's revenue a share, and leaves out depreciation, interest and what the cash costs. Without it the buyer's share price is needed.",
      },
    ],
  },
];

export const title = "Merger";

export function open() {
  const page = calculator({ endpoint: "/api/ma", groups, show });
  return { element: el("div", {}, el("p", {}, "Amounts and counts of shares are in millions."), page.element), close: page.close };
}

function show(d) {
  const better = d.accretion === null ? "There were no earnings before" : d.accretion < 0 ? "Earnings a share fall by" : "Earnings a share rise by";
  return [
    el("p", { class: "headline" }, `${better} `, el("output", {}, percent(d.accretion === null ? null : Math.abs(d.accretion)))),
    facts([
      ["Earnings a share before", price(d.preDealEPS)], ["After", price(d.proFormaEPS)], ["From the target", price(d.targetContribution)], ["From synergies", price(d.synergyContribution)],
      ["New shares", number(d.newShares)], ["Issued at", price(d.sharePrice)], ["EBITDA together", money(d.proFormaEBITDA)], ["Net income together", money(d.proFormaNetIncome)],
      ["Net debt together", money(d.proFormaNetDebt)], ["Synergies, today", money(d.pvSynergies)], ["Price to EBITDA", times(d.evEbitda)], ["Price to revenue", times(d.evRevenue)],
      ["Value to EBITDA together", times(d.proFormaEvEbitda)], ["Return on the price", percent(d.roic)],
    ]),
  ];
}
