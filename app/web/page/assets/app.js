// The frame around the pages: which one an address stands for, the links between them, and who is logged in.
import { el, say } from "./dom.js";
import { begin, logOut, onChange, who } from "./session.js";

const main = document.getElementById("main");

// pages by the first part of their path. Each is loaded when it is first asked for.
const pages = {
  "": () => import("./dcf.js"), lbo: () => import("./lbo.js"), ma: () => import("./merger.js"), options: () => import("./options.js"), runs: () => import("./runs.js"), notes: () => import("./notes.js"),
  login: () => import("./account.js"), register: () => import("./account.js"),
};

let leaving = null; // aborts what the page that is shown has begun
let close = () => {};

// go is where links lead, without asking for a document.
function go(address, { replace = false } = {}) {
  if (replace) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  show(true);
}

// show makes the page of the address. moved: somebody came from another page, so the focus goes to the new one.
async function show(moved) {
  leaving?.abort();
  close();
  close = () => {};
  const mine = (leaving = new AbortController());
  const path = location.pathname.length > 1 ? location.pathname.replace(/\/+$/, "") : "/";
  mark(path);
  say("");
  main.setAttribute("aria-busy", "true");
  let made;
  try {
    const load = pages[path.split("/")[1]];
    const page = load && (await load());
    const opened = await page?.open({ path, query: new URLSearchParams(location.search), signal: mine.signal, go });
    made = opened ? { title: page.titles?.[path] ?? page.title, ...opened } : nothing();
  } catch (error) {
    if (mine.signal.aborted) return;
    made = failed(error);
  }
  if (mine.signal.aborted) {
    made.close?.(); // another page was asked for meanwhile
    return;
  }
  close = made.close ?? close;
  const heading = el("h1", { tabindex: "-1" }, made.title);
  main.replaceChildren(heading, made.element);
  main.removeAttribute("aria-busy");
  made.start?.();
  document.title = `${made.title} · Valor IVX`;
  if (moved) {
    scrollTo(0, 0);
    heading.focus({ preventScroll: true });
  }
}

const nothing = () => ({ title: "Nothing here", element: el("p", {}, "There is no such page. ", el("a", { href: "/" }, "Value a company")) });

// failed is a page that could not be made. A module that is not there belongs to a release that is gone: the new one has other names.
function failed(error) {
  const old = error instanceof TypeError && /import|module/i.test(error.message);
  if (!old && error.status === undefined) console.error(error);
  return {
    title: "That did not work",
    element: el("div", {}, el("p", { class: "alert", role: "alert" }, old ? "There is a newer version of these pages." : error.message),
      el("button", { type: "button", onclick: () => (old ? location.reload() : show(true)) }, old ? "Load it" : "Try again")),
  };
}

// mark says which of the links above leads to where we are.
function mark(path) {
  for (const a of document.querySelectorAll("header nav a")) {
    const to = a.getAttribute("href");
    if (to === path || (to !== "/" && path.startsWith(`${to}/`))) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
}

function account() {
  const user = who();
  document.getElementById("account").replaceChildren(...(user
    ? [el("span", {}, user.username), el("button", { type: "button", class: "quiet", onclick: leave }, "Log out")]
    : [el("a", { href: "/login" }, "Log in")]));
}

function leave() {
  logOut().catch(() => {}); // this browser has forgotten; the service may be slow to, and otherwise will when the session ends by itself
  go("/login");
  say("Logged out.");
}

document.addEventListener("click", (e) => {
  const a = e.target.closest?.("a[href]");
  if (!a || e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey || a.target || a.hasAttribute("download")) return;
  if (a.origin !== location.origin || a.getAttribute("href").startsWith("#")) return;
  e.preventDefault();
  go(a.pathname + a.search);
});
addEventListener("popstate", () => show(true));
onChange(account);
await begin();
account();
show(false);
