// Keeping a valuation as a run.
import { el, say, section } from "./dom.js";
import { form } from "./form.js";
import { get, who } from "./session.js";

// keeping is the part of a page that saves what now() gives: {values, simulated}. values is null where the inputs are wrong, which has been said.
export function keeping(now) {
  const saved = el("p");
  const inputs = form([{ fields: [{ name: "ticker", label: "Ticker", kind: "text", hint: "Up to 16 letters, digits and . - _ ^ =", attributes: { autocapitalize: "characters", maxlength: "16", spellcheck: "false" } }] }], {
    button: "Keep as a run",
    submit: async ({ ticker }, signal) => {
      const { values, simulated } = now();
      if (!values) return;
      // Valued once more: what is on the page may be of earlier inputs.
      const { data } = await get("POST", "/api/dcf", { body: values, signal });
      const { run_id } = await get("POST", "/api/runs", { body: runOf(ticker, values, data.totals, simulated), signal }).catch(explain);
      saved.replaceChildren("Kept: ", el("a", { href: `/runs/${run_id}` }, ticker.toUpperCase()));
      say("The run is kept.");
    },
  });
  return section("Keep", inputs.element, saved);
}

// runOf is a run as the API wants it, with a simulation's figures if they are of the same inputs.
function runOf(ticker, values, totals, simulated) {
  const run = { inputs: { ticker, ...values }, results: { ...totals }, timestamp: new Date().toISOString() };
  if (simulated && JSON.stringify(simulated.company) === JSON.stringify(values)) {
    const { mean, median, p10, p90, seed, trials } = simulated.figures;
    run.mc_settings = { ...simulated.settings, seed };
    run.results.monteCarlo = { mean, median, p10, p90, trials };
  }
  return run;
}

// explain puts a refusal at the field of this form, which the API knows by another name.
function explain(error) {
  if (error.status === 401 && !who()) error.message = "Log in to keep runs.";
  for (const e of error.errors ?? []) e.location = e.location?.replace("body.inputs.ticker", "body.ticker");
  throw error;
}
