package main

import (
	"strconv"
	"syscall"
	"testing"
)

const (
	live       = `document.querySelector(".connection").classList.contains("live")`
	paragraphs = `[...document.querySelectorAll(".paragraphs textarea")].map(a => a.value).join(" | ")`
)

// signedIn is a browser of its own in which somebody logs in, or makes the account first, and comes to an address.
func signedIn(t *testing.T, d *demonstration, register bool, to string) *tab {
	t.Helper()
	tb := openTab(t, d.authority())
	tb.look(looks[0])
	form, name := "/login", "Name or address"
	if register {
		form, name = "/register", "Name"
	}
	tb.open("https://"+d.https+form+"?next="+to, "")
	tb.enter(labelled("", name), "ann")
	if register {
		tb.enter(labelled("", "Address"), "ann@example.com")
	}
	tb.enter(labelled("", "Password"), "Correct-horse-9")
	tb.press("Enter")
	return tb
}

// TestE2EWebNotes: a note is written in two browsers at once through the edge over HTTPS; each sees what the other writes, and who is there; a colour that dies with both connections loses nothing; of two who
// keep a version one is told that there is another by now.
func TestE2EWebNotes(t *testing.T) {
	t.Parallel()
	d := demoOn(t, folder(t))
	a := signedIn(t, d, true, "/notes/acme")
	a.heading("Note on ACME")
	a.until("the first is live", live)
	b := signedIn(t, d, false, "/notes/ACME")
	b.heading("Note on ACME")
	b.until("the second is live", live)
	a.until("two are here", `document.querySelectorAll(".people li").length === 2`)
	a.pushes(button("", "Add a paragraph"))
	a.write("Services grow")
	b.until("the other's words", paragraphs+` === "Services grow"`)
	b.until("where the other is", `[...document.querySelectorAll(".people li")].some(l => l.textContent === "ann, paragraph 1")`)
	b.pushes(button("", "Add a paragraph"))
	b.write("Phones do not <b>")
	a.until("and back", paragraphs+` === "Services grow | Phones do not <b>"`)
	// Both are on blue, which has had all the weight. It dies with both connections, and what is written meanwhile is not lost: green, which takes over only where it has weight, tells it.
	if out, code := command(t, d.dir, nil, "weights", "--admin", d.admin, "api", "blue=50", "green=50"); code != 0 {
		t.Fatal(out)
	}
	pids := d.children()
	if len(pids) != 2 {
		t.Fatalf("children %v", pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.eval(`document.querySelectorAll(".paragraphs textarea")[1].focus()`, nil)
	b.press("End")
	b.write(" yet")
	a.until("written over the death of a colour", paragraphs+` === "Services grow | Phones do not <b> yet" && `+live)
	for i, tb := range []*tab{a, b} {
		tb.until("live again", live)
		tb.pushes(button("Keep", "Keep this version"))
		if i == 1 {
			tb.until("that there is another by now", partOf("Keep")+`.querySelector("[role=alert]").textContent.includes("Version 1 was kept meanwhile")`)
			tb.pushes(button("Keep", "Keep this version"))
		}
		tb.until("a version is kept", partOf("Keep")+`.querySelector(".hint").textContent.startsWith(`+quoteJS("Version "+strconv.Itoa(i+1)+",")+`)`)
	}
	for _, l := range looks[:3] {
		b.look(l)
		b.accessible("a note, " + l.name)
		b.fits("a note, " + l.name)
	}
	a.follow("/notes")
	a.heading("Notes")
	a.until("the list", `document.querySelector("main tbody").innerText.includes("ACME")`)
	a.clean("https://" + d.https)
	b.clean("https://" + d.https)
	measured(t, "a note in two browsers", "each saw the other's words, over the death of a colour, and one of two versions was told of the other")
}
