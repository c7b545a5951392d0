// Thousands of valuations with uncertain drivers, their progress while they run, and how the values are spread.
import { bars } from "./chart.js";
import { el, facts, id, more, say, section, table } from "./dom.js";
import { events } from "./events.js";
import { form } from "./form.js";
import { count, percent, price } from "./format.js";
import { Problem, failed } from "./api.js";
import { ask } from "./session.js";

const groups = [{
  legend: "How uncertain", fields: [
    { name: "trials", label: "Trials, 100 to 10,000", kind: "integer" }, { name: "volPP", label: "Growth, points", kind: "number" },
    { name: "marginVolPP", label: "Margin, points", kind: "number", optional: true, hint: "Empty: as growth" }, { name: "s2cVolPct", label: "Sales to capital, % of it", kind: "number" },
    { name: "corrGM", label: "Correlation of growth and margin", kind: "number" }, { name: "seed", label: "Seed", kind: "text", optional: true, hint: "The same seed gives the same figures" },
  ],
}];

// The API's own defaults, which its answers do not repeat.
const preset = { trials: 10000, volPP: 2, marginVolPP: null, s2cVolPct: 5, corrGM: 0.3, seed: "" };

// simulation is the part of a page around the case that values() gives: {element, result, close}. result() is {company, settings, figures} of the last one, or null.
export function simulation(values) {
  const name = id("progress");
  const bar = el("progress", { id: name, max: "1", value: "0" });
  const told = el("span", { role: "status" });
  const running = el("div", { class: "progress", hidden: true }, el("label", { for: name }, "Progress"), bar, told);
  const drawn = el("div");
  let result = null, left = false;
  const spoken = quarters((part, done, trials) => { told.textContent = `${count(done)} of ${count(trials)}`; });
  const inputs = form(groups, {
    button: "Simulate",
    submit: async (settings, signal) => {
      const company = values();
      if (!company) return;
      running.hidden = false;
      bar.value = 0;
      told.textContent = "";
      spoken.reset();
      try {
        const data = await run({ ...company, ...settings }, signal, ({ done, trials }) => {
          bar.max = trials;
          bar.value = done;
          spoken(done, trials);
        });
        result = { company, settings, figures: data };
        drawn.replaceChildren(...show(data));
        say(`Simulated: mean ${price(data.mean)}, from ${price(data.p10)} to ${price(data.p90)} in eight of ten trials.`);
      } catch (error) {
        if (signal.aborted && !left) say("The simulation was cancelled.");
        throw error;
      } finally {
        running.hidden = true;
      }
    },
  });
  inputs.fill(preset);
  return { element: section("Monte Carlo", inputs.element, running, drawn), result: () => result, close: () => { left = true; inputs.stop(); } };
}

// run asks for a simulation and tells of its progress until the result is there. Who aborts the signal ends it on the service's side too.
export async function run(body, signal, progress) {
  const answer = await ask("POST", "/api/montecarlo", { body, signal, stream: true });
  try {
    for await (const e of events(answer)) {
      if (e.event === "progress") progress(JSON.parse(e.data));
      if (e.event === "result") return JSON.parse(e.data).data;
    }
  } catch (error) {
    throw failed(error, signal);
  }
  throw new Problem(0, "The simulation broke off. Try again in a moment.");
}

// quarters calls f when another quarter of the whole has been done: what is read aloud must not be read at every step.
export function quarters(f) {
  let last = 0;
  const tell = (done, trials) => {
    const part = Math.floor((4 * done) / trials);
    if (part > last) f((last = part), done, trials);
  };
  tell.reset = () => { last = 0; };
  return tell;
}

function show(d) {
  const width = d.max - d.min;
  const at = (v) => (width > 0 ? (v - d.min) / width : 0.5);
  const label = `Histogram of ${count(d.trials)} values from ${price(d.min)} to ${price(d.max)}: one in ten below ${price(d.p10)}, half below ${price(d.median)}, nine in ten below ${price(d.p90)}`;
  const edge = (i) => price(d.min + (width * i) / d.histogram.length);
  return [
    facts([["Mean", price(d.mean)], ["Median", price(d.median)], ["One in ten below", price(d.p10)], ["One in ten above", price(d.p90)], ["Standard deviation", price(d.standardDeviation)],
      ["Below zero", percent(d.probabilityOfNegative)], ["Left out", count(d.refused)], ["Seed", d.seed]], { id: "simulated" }),
    bars({ label, values: d.histogram, low: price(d.min), middle: `median ${price(d.median)}`, high: price(d.max),
      marks: [{ at: at(d.p10), kind: "edge" }, { at: at(d.median), kind: "middle" }, { at: at(d.p90), kind: "edge" }] }),
    more("The histogram's figures", table("Trials by value", ["From", "To", "Trials"], d.histogram.map((n, i) => [edge(i), edge(i + 1), count(n)]))),
  ];
}
