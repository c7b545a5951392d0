// A page that values something: a form with the API's preset in it, and what the API makes of it.
import { el, say } from "./dom.js";
import { form } from "./form.js";
import { get } from "./session.js";

// calculator makes {element, form, close}. spec: endpoint, groups, button, show(data) giving nodes, and start, values to begin with in place of the preset.
export function calculator({ endpoint, groups, button = "Value", show, start = {} }) {
  const results = el("div", { class: "results", "aria-live": "off" });
  const stale = el("p", { class: "stale", hidden: true }, "The figures below are for earlier inputs.");
  let shown = false, edits = 0;
  const compute = async (values, signal) => {
    const asked = edits;
    const answer = await get("POST", endpoint, { body: values, signal });
    shown = true;
    stale.hidden = edits === asked; // the inputs may be others by now
    results.replaceChildren(...[show(answer.data)].flat().filter(Boolean));
    return answer.data;
  };
  const inputs = form(groups, {
    button,
    submit: async (values, signal) => {
      await compute(values, signal);
      if (stale.hidden) say("Done: the figures are up to date.");
    },
    changed: () => { edits++; stale.hidden = !shown; },
  });
  const leaving = new AbortController();
  const begin = async () => {
    try {
      const data = await compute(start, leaving.signal);
      inputs.fill({ compat: data.compat, ...data.params }); // it is among the inputs or beside them
    } catch (error) {
      if (leaving.signal.aborted) return;
      if (error.status === undefined) throw error;
      results.replaceChildren(el("p", { class: "alert", role: "alert" }, error.message), el("button", { type: "button", onclick: begin }, "Try again"));
    }
  };
  begin();
  return {
    form: inputs,
    element: el("div", { class: "calculator" }, inputs.element, el("div", { class: "side" }, stale, results)),
    close: () => { leaving.abort(); inputs.stop(); },
  };
}
