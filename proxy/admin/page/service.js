// One service: its groups with their rates, three charts by colour, weights, rollout and targets.
import { chart, draw, keep } from "./chart.js";
import { clock, el, millis, name as unique, number, percent, put, rows, stamp, table } from "./dom.js";
import { rollout } from "./rollout.js";
import { shadow } from "./shadow.js";
import { slider } from "./weights.js";

// colors are the custom properties of groups that are called like a colour; others take their turn.
const colors = ["blue", "green", "orange", "purple", "red", "grey"];

function colorOf(names, name) {
  const like = colors.find((c) => name.toLowerCase().includes(c)) ?? (name.toLowerCase().includes("gray") ? "grey" : undefined);
  if (like) return like;
  const free = colors.filter((c) => !names.some((n) => n.toLowerCase().includes(c)));
  const nameless = names.filter((n) => !colors.some((c) => n.toLowerCase().includes(c)));
  return (free.length > 0 ? free : colors)[nameless.indexOf(name) % (free.length || colors.length)];
}

const health = { healthy: "good", live: "good", unhealthy: "bad", empty: "bad", evicted: "bad", draining: "warn", unknown: "warn" };

export function service(first) {
  const names = first.groups.map((g) => g.name);
  const id = unique("service");
  const charts = { requests: chart(el, "Requests per second"), errors: chart(el, "5xx per second"), latency: chart(el, "Latency: p99, and p50 dashed") };
  const lines = names.map((name) => ({ name, color: `--${colorOf(names, name)}`, requests: [], errors: [], p50: [], p99: [] }));
  const groups = table(`Groups of ${first.name}`, ["Group", "Weight", "Observed", "Requests/s", "4xx/s", "5xx/s", "Left/s", "p50", "p95", "p99", "In flight", "State"]);
  const targets = table(`Targets of ${first.name}`, ["Target", "Group", "State", "In flight", "Latency", "Failed", "Ejected until", "Last error"]);
  const notes = el("ul", { class: "notes" });
  const weights = names.length > 1 ? slider(first.name, names, show) : undefined;
  const trial = names.length > 1 ? rollout(first.name, show) : undefined;
  const mirror = names.length > 1 ? shadow(first.name) : undefined;
  const section = el("section", { "aria-labelledby": id }, el("h2", { id }, `Service ${first.name}`), notes,
    el("ul", { class: "legend", "aria-label": "Colours of the groups" }, ...lines.map((l) => el("li", { class: `color${l.color}` }, l.name))),
    el("div", { class: "charts" }, charts.requests.figure, charts.errors.figure, charts.latency.figure),
    groups.box, weights?.box, trial?.box, mirror?.box, el("h3", {}, "Targets"), targets.box);

  let latest = 0, rates = new Map(); // the number of the state that is shown, and the rates of the last frame

  function record(now) {
    rates = now;
    for (const l of lines) {
      const r = rates.get(`${first.name}\n${l.name}`);
      keep(l.requests, r?.requests);
      keep(l.errors, r?.server_errors);
      keep(l.p50, r?.latency?.p50);
      keep(l.p99, r?.latency?.p99);
    }
    const of = (field, more = {}) => lines.map((l) => ({ name: l.name, color: l.color, values: l[field], ...more }));
    draw(charts.requests, of("requests"), { format: number });
    draw(charts.errors, of("errors"), { format: number });
    draw(charts.latency, [...of("p99"), ...of("p50", { dashed: true }).map((s) => ({ ...s, name: `${s.name} p50` }))], { format: millis });
  }
  // show takes a state of the service, from a frame or as the answer to a write, unless a later one is shown: they come by two connections, and a frame that was made before a write may come after its answer.
  function show(now) {
    if (now.number < latest) return;
    latest = now.number;
    list(notes, remarks(now));
    rows(groups, now.groups.map((g) => groupCells(g, rates.get(`${now.name}\n${g.name}`) ?? {})), "no groups");
    rows(targets, now.groups.flatMap((g) => (g.targets ?? []).map((t) => targetCells(g, t))), "no targets");
    weights?.update(now);
    trial?.update(now);
    mirror?.update(now);
  }
  // update takes a frame's state and rates.
  function update(now, rates) {
    record(rates);
    show(now);
    trial?.tick();
  }
  // forget is for when another process answers, whose numbers are its own.
  const forget = () => { latest = 0; };
  return { section, shape: shape(first), update, forget };
}

// shape is what a section is made for; with another one it is made anew.
export const shape = (s) => JSON.stringify(s.groups.map((g) => g.name));

function groupCells(g, r) {
  const errors = r.server_errors ?? 0;
  return [g.name, percent(g.weight), percent(g.observed_share), number(r.requests ?? 0), number(r.client_errors ?? 0),
    { text: number(errors), class: errors > 0 ? "bad" : "" }, number(r.left ?? 0), millis(r.latency?.p50), millis(r.latency?.p95), millis(r.latency?.p99),
    String(r.in_flight ?? 0), { text: g.mark?.state ?? g.state, class: health[g.mark?.state ?? g.state] ?? "warn" }];
}

function targetCells(g, t) {
  const state = t.mark?.state ?? t.state;
  return [t.address, g.name, { text: state, class: health[state] ?? "warn" }, String(t.in_flight), t.latency_ms ? millis(t.latency_ms) : "–", String(t.failures),
    t.ejected_until ? { text: clock(t.ejected_until), class: "bad" } : "–", t.last_error || "–"];
}

// remarks are what is out of the ordinary.
function remarks(s) {
  const all = [];
  const words = (w) => Object.entries(w).map(([name, value]) => `${name} ${value} %`).join(", ");
  if (s.overlay?.void) all.push(`The runtime overlay is void: ${s.overlay.void}`);
  else if (s.overlay) all.push(`Set at run time by ${s.overlay.by}, ${stamp(s.overlay.since)}; the file says ${words(s.overlay.file_weights)}`);
  if (s.pause) all.push(`Paused by ${s.pause.by}, ${stamp(s.pause.since)}: ${s.pause.waiting} of ${s.pause.max_waiting} requests wait, for ${s.pause.timeout} at most`);
  if (s.breaker) all.push(`Breaker ${s.breaker.state}: ${s.breaker.in_flight} of ${s.breaker.max_requests} requests in flight, ${s.breaker.queued} of ${s.breaker.max_queue} waiting`);
  return all;
}

// list puts texts into a list and hides it when there are none.
export function list(ul, texts) {
  while (ul.children.length > texts.length) ul.lastChild.remove();
  texts.forEach((t, i) => put(ul.children[i] ?? ul.appendChild(el("li")), t));
  ul.hidden = texts.length === 0;
}
