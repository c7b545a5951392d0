// Runs that were kept: a list that is searched and sorted where it lies, by address, and one of them.
import { el, facts, more, scroll, section } from "./dom.js";
import { form } from "./form.js";
import { money, percent, price, when } from "./format.js";
import { get, who } from "./session.js";

export const title = "Runs";
const size = 20;

// open makes the list, or the page of /runs/ID.
export async function open(context) {
  const id = context.path.split("/")[2];
  try {
    return { element: id ? await one(id, context) : await list(context) };
  } catch (error) {
    if (error.status === 401) return { element: el("p", {}, el("a", { href: `/login?next=${encodeURIComponent(context.path)}` }, "Log in"), " to see the runs that you kept.") };
    if (error.status === 404 || (error.status === 422 && id)) return null;
    throw error;
  }
}

async function list({ query, signal, go }) {
  const asked = { page: Number(query.get("page")) || 1, sort: query.get("sort") === "ticker" ? "ticker" : "created_at", order: query.get("order") === "asc" ? "asc" : "desc", find: (query.get("find") ?? "").slice(0, 64) };
  const params = new URLSearchParams({ page: Math.max(1, Math.floor(asked.page)), per_page: size, sort_by: asked.sort, sort_order: asked.order });
  if (asked.find) params.set("search_term", asked.find);
  const { data } = await get("GET", `/api/runs?${params}`, { signal });
  const search = form([{ fields: [{ name: "find", label: "Ticker contains", kind: "text", optional: true, attributes: { type: "search", maxlength: "64" } }] }], {
    button: "Search", submit: ({ find }) => go(address({ ...asked, page: 1, find })),
  });
  search.fill({ find: asked.find });
  return el("div", {}, !who() && el("p", { class: "hint" }, "You are not logged in: these are the demo's runs, which everybody sees."), search.element,
    data.runs.length === 0 ? el("p", {}, asked.find ? `No run's ticker contains “${asked.find}”.` : "No runs yet. A valuation can be kept at the end of its page.") : rows(data.runs, asked),
    pages(data.pagination, asked));
}

// address is where a view of the list lies: only what differs from the usual.
function address({ page, sort, order, find }) {
  const q = new URLSearchParams();
  if (page > 1) q.set("page", page);
  if (sort !== "created_at") q.set("sort", sort);
  if (order !== "desc") q.set("order", order);
  if (find) q.set("find", find);
  return q.size > 0 ? `/runs?${q}` : "/runs";
}

function rows(runs, asked) {
  const heading = (sort, text) => {
    const own = asked.sort === sort;
    const order = own ? (asked.order === "asc" ? "desc" : "asc") : sort === "ticker" ? "asc" : "desc";
    return el("th", { scope: "col", "aria-sort": own ? (asked.order === "asc" ? "ascending" : "descending") : undefined },
      el("a", { href: address({ ...asked, page: 1, sort, order }) }, text, own && el("span", { "aria-hidden": "true" }, asked.order === "asc" ? " ↑" : " ↓")));
  };
  return scroll("Runs", el("table", {}, el("caption", {}, "Runs"),
    el("thead", {}, el("tr", {}, heading("ticker", "Ticker"), heading("created_at", "Kept"), el("th", { scope: "col" }, "Revenue"), el("th", { scope: "col" }, "Discount rate"))),
    el("tbody", {}, runs.map((r) => el("tr", {}, el("th", { scope: "row" }, el("a", { href: `/runs/${r.run_id}` }, r.ticker)), el("td", {}, when(r.created_at)),
      el("td", {}, money(r.inputs.revenue)), el("td", {}, percent(r.inputs.wacc)))))));
}

function pages(p, asked) {
  if (p.pages < 2) return null;
  const to = (page, text) => (page ? el("a", { href: address({ ...asked, page }), rel: text === "Next" ? "next" : "prev" }, text) : el("span", { class: "hint" }, text));
  return el("nav", { "aria-label": "Pages of the list", class: "pages" }, to(p.prev_num, "Previous"), el("span", {}, `Page ${p.page} of ${p.pages}, ${p.total} runs`), to(p.next_num, "Next"));
}

async function one(id, { signal }) {
  const { data: run } = await get("GET", `/api/runs/${encodeURIComponent(id)}`, { signal });
  const results = run.results && typeof run.results === "object" ? run.results : {};
  const simulated = results.monteCarlo;
  return el("div", {},
    el("p", { class: "headline" }, `${run.ticker} `, el("output", {}, price(results.perShare))),
    facts([["Kept", when(run.created_at)], ["Enterprise value", money(results.ev)], ["Equity", money(results.equity)], ["Mean of a simulation", simulated && price(simulated.mean)],
      ["Eight of ten trials", simulated && `${price(simulated.p10)} to ${price(simulated.p90)}`]]),
    el("p", {}, el("a", { href: `/?run=${run.run_id}` }, "Value with these inputs"), " · ", el("a", { href: "/runs" }, "All runs")),
    section("Kept with it", more("Inputs", text(run.inputs)), run.mc_settings && more("Simulation", text(run.mc_settings)), run.results && more("Results", text(run.results))));
}

const text = (value) => scroll("As it was kept", el("pre", {}, JSON.stringify(value, null, 2)));
