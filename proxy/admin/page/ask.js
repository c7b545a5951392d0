// Questions and answers: one dialog, and one place where results are said.
const byId = (id) => document.getElementById(id);

let pending; // answers the question that stands

// ask shows a question and resolves to whether it was answered with yes. The browser keeps the focus inside, closes on Escape and gives the focus back.
// A close is told a task after the dialog has closed. Whoever is quick has asked again by then, so the close of one question must not answer the next: an open dialog is not closed.
export function ask(text, yes) {
  const dialog = byId("ask");
  pending?.(false); // closed, and not told so yet
  byId("ask-text").textContent = text;
  byId("ask-yes").textContent = yes;
  return new Promise((resolve) => {
    const answer = (value) => {
      pending = byId("ask-yes").onclick = byId("ask-no").onclick = dialog.onclose = null;
      if (dialog.open) dialog.close();
      resolve(value);
    };
    pending = answer;
    byId("ask-yes").onclick = () => answer(true);
    byId("ask-no").onclick = () => answer(false);
    dialog.onclose = () => {
      if (!dialog.open) answer(false);
    };
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
