// The list of a capture's connections.
import * as api from "./api.js";
import { field, h, later, plural, say, show } from "./dom.js";
import { pages, tabs } from "./findings.js";

// columns: heading, the order it sorts by ("" none), what a cell says.
const columns = [
  ["Connection", "", (c) => c.id],
  ["Opened", "opened", (c) => c.opened.replace("T", " ").replace(/(\.\d{6})\d*Z$/, "$1")],
  ["Client", "client", (c) => c.client],
  ["Server", "server", (c) => c.server],
  ["Seconds", "duration", (c) => c.duration_s.toFixed(3)],
  ["Packets", "packets", (c) => `${c.packets[0]} / ${c.packets[1]}`],
  ["Bytes", "bytes", (c) => `${c.bytes[0]} / ${c.bytes[1]}`],
  ["End", "end", (c) => c.ended],
  ["First closer", "", (c) => c.first_closer],
  ["TIME_WAIT", "", (c) => c.time_wait_holder],
  ["History", "", (c) => c.history],
  ["Frames", "frame", (c) => `${c.first_frame}–${c.last_frame}`],
];

export function connectionsView(capture) {
  const query = { search: "", sort: "opened", order: "asc", from: 0, limit: 100 };
  const count = h("p", { id: "count" });
  const body = h("tbody", null);
  const foot = h("div", null);
  const heads = columns.map(([title, sort]) => {
    const head = h("th", { scope: "col" });
    show(head, sort ? h("button", { type: "button", onclick: () => order(sort) }, title) : title);
    return head;
  });
  const load = async () => {
    const list = await api.connections(capture.id, query);
    columns.forEach(([, sort], i) => {
      if (sort === query.sort) heads[i].setAttribute("aria-sort", query.order === "asc" ? "ascending" : "descending");
      else heads[i].removeAttribute("aria-sort");
    });
    count.textContent = plural(list.total, "connection") + (list.total > list.connections.length ? `, ${list.from + 1} to ${list.from + list.connections.length} shown` : "");
    show(body, list.connections.map((c) => h("tr", null, columns.map(([, , cell]) => h("td", null, cell(c))))));
    show(foot, pages(list.total, query, load));
  };
  const change = () => {
    query.from = 0;
    load().catch((e) => say(e.message));
  };
  const order = (sort) => {
    query.order = sort === query.sort && query.order === "asc" ? "desc" : "asc";
    query.sort = sort;
    change();
    say(`Sorted by ${sort}, ${query.order === "asc" ? "ascending" : "descending"}`);
  };
  const search = later((text) => {
    query.search = text;
    change();
  }, 150);
  change();
  return [
    h("h1", null, `Connections of ${capture.name}`),
    tabs(capture, "connections"),
    h("form", { class: "filters", role: "search", onsubmit: (e) => e.preventDefault() }, field("Search", h("input", { type: "search", id: "search", oninput: (e) => search(e.target.value) }))),
    capture.connections > capture.connections_kept && h("p", { class: "small" }, `Only the first ${capture.connections_kept.toLocaleString("en")} that ended are listed; tcpwhy connections lists all.`),
    count,
    h(
      "div",
      { class: "wide", tabindex: "0", role: "region", "aria-label": "Table of connections" },
      h("table", { id: "connections" }, h("caption", { class: "small" }, "Packets and bytes: from the client / from the server"), h("thead", null, h("tr", null, heads)), body),
    ),
    foot,
  ];
}
