// Options: on a market, and those that a firm has.
import { calculator } from "./calculator.js";
import { el, facts, section } from "./dom.js";
import { number, price } from "./format.js";

const share = (name, label, hint) => ({ name, label, kind: "percent", hint });
const figure = (name, label, hint) => ({ name, label, kind: "number", hint });
const market = [
  { name: "kind", label: "Right to", kind: "choice", choices: [["call", "buy (call)"], ["put", "sell (put)"]] },
  figure("spot", "Price now"), figure("strike", "Strike"), figure("time", "Years"), share("volatility", "Volatility"), share("rate", "Rate, continuous"), share("yield", "Yield"),
];
const firm = [figure("timeToExpiry", "Years"), share("volatility", "Volatility"), share("riskFreeRate", "Rate, continuous")];

const models = {
  "black-scholes": { title: "European", text: "By Black and Scholes, in closed form.", fields: market },
  binomial: {
    title: "Lattice", text: "By Cox, Ross and Rubinstein: a price that rises or falls at each step.",
    fields: [...market, { name: "steps", label: "Steps", kind: "integer" }, { name: "american", label: "May be exercised at any step (American)", kind: "check" }],
  },
  expansion: {
    title: "Expand", text: "The right of a firm to grow, for a price.",
    fields: [figure("currentValue", "Value now"), figure("expansionCost", "Cost to expand"), figure("expansionMultiplier", "Times the value"), ...firm],
    also: (d) => section("The right alone", worth(d.incremental)),
  },
  abandonment: { title: "Abandon", text: "The right of a firm to give up, for what is left.", fields: [figure("currentValue", "Value now"), figure("salvageValue", "What is left"), ...firm] },
  timing: {
    title: "Wait", text: "The right of a firm to invest later.",
    fields: [figure("projectValue", "Project's value"), figure("investmentCost", "Cost"), share("yield", "What waiting forgoes a year"), ...firm],
    also: (d) => facts([["Invest now", d.shouldExerciseNow ? "yes" : "no"], ["Worth waiting below", d.threshold === null ? "any value" : price(d.threshold)]]),
  },
};

export const title = "Options";

export function open({ path }) {
  const name = path.split("/")[2] ?? "black-scholes";
  const model = models[name];
  if (!model) return null;
  const page = calculator({
    endpoint: `/api/options/${name}`, groups: [{ fields: model.fields }],
    show: (d) => [el("p", { class: "headline" }, "Value ", el("output", {}, price(d.value))), worth(d), model.also?.(d)],
  });
  const tabs = el("nav", { "aria-label": "Kinds of options", class: "tabs" }, el("ul", {}, Object.entries(models).map(([n, m]) =>
    el("li", {}, el("a", { href: `/options/${n}`, "aria-current": n === name ? "page" : undefined }, m.title)))));
  return { element: el("div", {}, tabs, el("p", {}, model.text), page.element), close: page.close };
}

function worth(d) {
  const g = d.greeks;
  return facts([
    ["Worth", price(d.value)], ["If exercised now", price(d.intrinsicValue)], ["For the time left", price(d.timeValue)], ["Delta", number(g.delta)], ["Gamma", number(g.gamma)],
    ["Theta, a day", number(g.theta)], ["Vega, a point", number(g.vega)], ["Rho, a point", number(g.rho)],
  ]);
}
