// The shadow of a service: what another group would have answered, and where that differs most.
import { el, name as unique, put, rows, table } from "./dom.js";

const verdicts = { differs: "bad", unsure: "warn", noise: "" };

// shadow makes the part of a service that is there while it has one.
export function shadow(name) {
  const id = unique("shadow");
  const line = el("p", { class: "dim" });
  const places = table(`Answers of ${name} that differ`, ["Where", "Endpoint", "Verdict", "Differing", "Noise", "Compared", "From", "To"]);
  const box = el("div", { role: "group", "aria-labelledby": id, class: "shadow", hidden: true }, el("h3", { id }, "Shadow"), line, places.box);
  function update(now) {
    const s = now.shadow;
    box.hidden = !s;
    if (!s) return;
    put(line, `${s.share} % of the requests are asked again of ${s.to} and compared with ${s.from}: ${s.reason ? `waiting, because ${s.reason}` : s.state}. ` +
      `${s.compared} compared, ${s.differing} differing, in ${s.places} places beyond noise.`);
    rows(places, (s.first ?? []).map(cells), "no answer has differed beyond noise");
  }
  return { box, update };
}

function cells(d) {
  const sample = d.samples?.at(-1);
  return [d.where, d.endpoint, { text: d.verdict, class: verdicts[d.verdict] ?? "warn" }, String(d.differing), String(d.noise), String(d.compared), sample?.from ?? "–", sample?.to ?? "–"];
}
