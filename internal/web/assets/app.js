// The page: which view the address asks for, and the captures at hand.
import * as api from "./api.js";
import { h, say, show } from "./dom.js";
import { connectionsView } from "./connections.js";
import { findingView } from "./finding.js";
import { findingsView } from "./findings.js";
import { dropView, takeFiles } from "./drop.js";
import { whatifPanel } from "./whatif.js";

const view = document.getElementById("view");
let info = null;
let turn = 0; // counts views: an answer that comes too late is dropped

// The token has done its work; it should not stay in the address.
if (location.search) history.replaceState(null, "", location.pathname + location.hash);

async function places() {
  const { captures } = await api.captures();
  show(
    document.getElementById("places"),
    h("ul", null, captures.map((c) => h("li", null, h("a", { href: `#/${c.id}/findings` }, c.name)))),
    h("a", { href: "#/whatif" }, "What if"),
  );
}

async function draw(parts) {
  const [id, what, name] = parts;
  if (!id) return ["Read a capture", dropView(info)];
  if (id === "whatif") return ["What if", [h("h1", null, "What if"), whatifPanel(info, {})]];
  const capture = await api.capture(id);
  if (what === "connections") return [`Connections of ${capture.name}`, connectionsView(capture)];
  if (what === "f" && name) return [`${name} of ${capture.name}`, await findingView(capture, name, info)];
  return [capture.name, await findingsView(capture)];
}

async function go() {
  const mine = ++turn;
  const parts = location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decodeURIComponent);
  try {
    info = info || (await api.info());
    await places();
    const [title, content] = await draw(parts);
    if (mine !== turn) return;
    document.title = `${title} – tcpwhy`;
    show(view, content);
  } catch (e) {
    if (mine !== turn) return;
    show(view, h("h1", null, "That did not work"), h("p", { class: "error" }, e.message), h("p", null, h("a", { href: "#/" }, "Read a capture")));
    say(e.message);
  }
  document.getElementById("version").textContent = info ? info.version : "";
  // Who reads the page by keyboard or by ear is taken to what is new.
  if (mine > 1) view.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

document.getElementById("skip").addEventListener("click", (e) => {
  e.preventDefault(); // the fragment is the view's name
  view.focus();
});

// A file may be dropped anywhere.
addEventListener("dragover", (e) => {
  e.preventDefault();
  document.body.classList.add("dragging");
});
addEventListener("dragleave", (e) => {
  if (!e.relatedTarget) document.body.classList.remove("dragging");
});
addEventListener("drop", async (e) => {
  e.preventDefault();
  document.body.classList.remove("dragging");
  const files = [...e.dataTransfer.files];
  if (files.length === 0) return;
  if (!document.getElementById("drop")) {
    turn++;
    history.pushState(null, "", "#/");
    show(view, dropView(info));
  }
  takeFiles(info, files);
});
addEventListener("hashchange", go);
go();
