// A rollout: where it is, the evidence against the new group with the line at which it goes back, and what can be told to it.
import { ask, say } from "./ask.js";
import { chart, draw, keep } from "./chart.js";
import { el, number, percent, put } from "./dom.js";
import { call } from "./stream.js";

const states = { running: "running", holding: "holding", promoted: "promoted", rolled_back: "rolled back", aborted: "aborted" };
const under = (r) => r?.state === "running" || r?.state === "holding";
const short = (n) => (n === 0 ? "0" : n >= 100000 || n < 0.01 ? n.toExponential(0) : String(Number(n.toPrecision(2))));

const verbs = [
  { name: "Start rollout…", method: "POST", tail: "", when: (r) => !under(r),
    question: (s) => `Start a rollout of ${s}? Traffic moves to the group without weight step by step, and all of it back when something speaks against it.` },
  { name: "Pause", method: "POST", tail: "/pause", when: (r) => under(r) && !r.reason?.startsWith("paused") },
  { name: "Resume", method: "POST", tail: "/resume", when: (r) => under(r) && r.reason?.startsWith("paused") },
  { name: "Promote…", method: "POST", tail: "/promote", when: under,
    question: (s, r) => `Promote ${r.to}? It gets all the traffic of ${s} now, whatever the evidence.` },
  { name: "Abort…", method: "DELETE", tail: "", when: under,
    question: (s) => `Abort the rollout of ${s}? The weights from before it come back.` },
];

// rollout makes the part of a service with its rollout. update is called with every state of the service, tick once a second; show is told the state after a write.
export function rollout(name, show) {
  const path = `/v1/services/${encodeURIComponent(name)}/rollout`;
  const text = el("p");
  const why = el("p", { class: "dim" });
  const curve = chart(el, "Evidence against the new group");
  const evidence = [];
  let service, started;
  const buttons = verbs.map((v) => ({ v, b: el("button", { type: "button", class: v.tail || v.method === "POST" ? undefined : "danger", onclick: () => tell(v) }, v.name) }));
  const box = el("div", { class: "rollout", role: "group", "aria-label": `Rollout of ${name}` },
    el("h3", {}, "Rollout"), text, why, curve.figure, el("div", { class: "buttons" }, ...buttons.map((x) => x.b)));

  async function tell(v) {
    const from = service;
    if (v.question && !(await ask(v.question(name, from.rollout), v.name.replace("…", "")))) return;
    // A rollout goes on while a question stands: what is told to it is told to it at its next step too. It is another service only to who would start one.
    const same = under(from.rollout) && under(service.rollout) && from.rollout.started === service.rollout.started;
    try {
      const r = await call(v.method, path + v.tail, { version: (same ? service : from).version });
      say(`Rollout of ${name}: ${states[r.state] ?? r.state}.`);
    } catch (err) {
      return say(err.status === 412 ? `Nothing was done: ${name} has changed since this page showed it. Look again.` : `Nothing was done: ${err.message}`, true);
    }
    // The answer is the rollout alone. What is behind the write has another version, and the next one goes by that; the stream brings it too if this does not.
    await call("GET", `/v1/services/${encodeURIComponent(name)}`).then(show, () => {});
  }
  function update(now) {
    service = now;
    const r = now.rollout;
    for (const { v, b } of buttons) {
      const shown = Boolean(v.when(r));
      if (!shown && b === document.activeElement) buttons.find((x) => x.v.when(r))?.b.focus();
      b.hidden = !shown;
    }
    curve.figure.hidden = !r;
    if (!r) {
      put(text, "No rollout yet: the weights are moved by hand.");
      put(why, "");
      return;
    }
    const steps = r.steps ? ` of ${r.steps.length}` : "";
    put(text, `To ${r.to}: ${states[r.state] ?? r.state}, step ${r.step}${steps}${r.weight === undefined ? "" : ` at ${percent(r.weight)}`}. ` +
      `Harm ${number(Math.abs(r.harm)).replace(/^/, r.harm < 0 ? "−" : "")}${r.max_harm ? ` of ${r.max_harm}` : ""}.`);
    put(why, [r.reason, needs(r)].filter(Boolean).join(" · "));
    if (started !== r.started) evidence.length = 0;
    started = r.started;
  }
  // tick is called once a second, for the curve.
  function tick() {
    const r = service?.rollout;
    if (!r) return;
    keep(evidence, r.evidence);
    draw(curve, [{ name: "evidence", color: "--accent", values: evidence }], { format: short, log: true, line: { value: r.threshold, name: "goes back at" } });
  }
  return { box, update, tick };
}

function needs(r) {
  if (!under(r) || !r.needs) return "";
  if (r.needs < 0) return "no number of requests will do at this step";
  return `needs about ${number(r.needs)} more requests${r.needs_time && r.needs_time !== "0s" ? `, ${r.needs_time} at this rate` : ""}`;
}
