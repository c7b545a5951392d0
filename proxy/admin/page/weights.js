// The slider of a service: it moves one group, the others share the rest as they do now. Nothing is sent before it is confirmed; what was sent can be undone for a while.
import { ask, say } from "./ask.js";
import { el, name as unique, put, percent } from "./dom.js";
import { call } from "./stream.js";

const undoSeconds = 10;
const path = (service) => `/v1/services/${encodeURIComponent(service)}/weights`;
const words = (weights) => Object.entries(weights).map(([name, w]) => `${name} ${percent(w)}`).join(", ");

// spread gives group the weight, and the rest to the others in the proportion of their weights, in hundredths so that the sum is exactly 100.
export function spread(weights, group, value) {
  const result = { [group]: Math.round(value * 100) };
  const others = Object.keys(weights).filter((name) => name !== group);
  const rest = 10000 - result[group];
  const sum = others.reduce((n, name) => n + weights[name], 0);
  let given = 0;
  for (const name of others) {
    result[name] = Math.floor(sum > 0 ? (rest * weights[name]) / sum : rest / others.length);
    given += result[name];
  }
  const largest = others.reduce((a, b) => (weights[b] > weights[a] ? b : a));
  result[largest] += rest - given; // what rounding down left over
  return Object.fromEntries(Object.keys(weights).map((name) => [name, result[name] / 100]));
}

// slider makes the control of a service with two groups or more. update is called with every state of the service; show is told the state after a write.
export function slider(name, groups, show) {
  const id = unique("slide");
  let now, base; // the state as it is, and as it was when the slider was touched: what somebody else changed in between makes the write fail
  let group = groups.at(-1), timer;
  const input = el("input", { type: "range", id, min: "0", max: "100", step: "1", oninput: touch });
  const shown = el("output", { for: id });
  const label = el("label", { for: id });
  const apply = el("button", { type: "button", onclick: () => send() }, "Set weights…");
  const reset = el("button", { type: "button", class: "quiet", onclick: release }, "Cancel");
  const undo = el("button", { type: "button", hidden: true });
  const choice = el("select", { onchange: (e) => { group = e.target.value; release(); } },
    ...groups.map((g) => el("option", { value: g, selected: g === group }, g)));
  const box = el("div", { class: "weights", role: "group", "aria-label": `Weights of ${name}` });
  if (groups.length > 2) box.append(el("label", {}, "Group to move ", choice));
  box.append(label, input, shown, apply, reset, undo);

  function touch() {
    base ??= now;
    preview();
  }
  function wanted() {
    return spread(weightsOf(base ?? now), group, Number(input.value));
  }
  function preview() {
    const text = words(wanted());
    put(shown, text);
    input.setAttribute("aria-valuetext", text);
    apply.disabled = base === undefined || text === words(weightsOf(now));
    reset.hidden = base === undefined;
  }
  function release() {
    base = undefined;
    input.value = String(weightsOf(now)[group]);
    put(label, `Weight of ${group}`);
    preview();
  }
  async function send() {
    const from = base, weights = wanted();
    const ends = ["running", "holding"].includes(from.rollout?.state) ? " The rollout that is under way ends with that." : "";
    if (!(await ask(`Set the weights of ${name} to ${words(weights)}? They are ${words(weightsOf(now))} now.${ends}`, "Set weights"))) return;
    try {
      const after = await call("PUT", path(name), { body: weights, version: from.version });
      say(`${name}: ${words(weights)} in force. You can undo this for ${undoSeconds} seconds.`);
      show(after);
      release();
      offer(from, after);
    } catch (err) {
      refused(err);
    }
  }
  function refused(err) {
    if (err.status === 412) {
      say(`Nothing was changed: somebody else has changed ${name} since you touched the slider. It shows what is in force now.`, true);
      release();
    } else say(`Nothing was changed: ${err.message}`, true);
  }
  // offer shows the button that takes a change back: to the weights from before, or to the file's where no overlay was in force.
  function offer(from, after) {
    clearInterval(timer);
    let left = undoSeconds;
    const away = () => {
      clearInterval(timer);
      if (document.activeElement === undo) input.focus();
      undo.hidden = true;
    };
    const count = () => put(undo, `Undo (${left} s)`);
    undo.onclick = async () => {
      away();
      try {
        const body = from.overlay && !from.overlay.void ? { body: weightsOf(from) } : {};
        show(await call(body.body ? "PUT" : "DELETE", path(name), { ...body, version: after.version }));
        say(`${name}: ${words(weightsOf(now))} in force again.`);
        release();
      } catch (err) {
        refused(err);
      }
    };
    undo.hidden = false;
    count();
    undo.focus();
    timer = setInterval(() => (--left > 0 ? count() : away()), 1000);
  }
  function update(service) {
    now = service;
    if (base === undefined && document.activeElement !== choice) release();
    else preview();
  }
  return { box, update };
}

export const weightsOf = (service) => Object.fromEntries(service.groups.map((g) => [g.name, g.weight]));
