// Questions and answers: one dialog, and one place where results are said.
const byId = (id) => document.getElementById(id);

// ask shows a question and resolves to whether it was answered with yes. The browser keeps the focus inside, closes on Escape and gives the focus back.
export function ask(text, yes) {
  const dialog = byId("ask");
  byId("ask-text").textContent = text;
  byId("ask-yes").textContent = yes;
  return new Promise((resolve) => {
    const answer = (value) => {
      byId("ask-yes").onclick = byId("ask-no").onclick = dialog.onclose = null;
      if (dialog.open) dialog.close();
      resolve(value);
    };
    byId("ask-yes").onclick = () => answer(true);
    byId("ask-no").onclick = () => answer(false);
    dialog.onclose = () => answer(false);
    dialog.showModal();
    byId("ask-yes").focus();
  });
}

// say tells what came of something, to eyes and ears, until the next thing is said.
export function say(text, bad = false) {
  const e = byId("said");
  e.className = bad ? "bad" : "";
  e.textContent = text;
}
