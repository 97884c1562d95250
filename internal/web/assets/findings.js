// The list of findings of a capture.
import * as api from "./api.js";
import { badge, choice, field, h, later, plural, say, show, size } from "./dom.js";
import { factLines, files, take } from "./drop.js";
import { overview } from "./pictures.js";

export function tabs(capture, here) {
  const tab = (what, text) => h("a", { href: `#/${capture.id}/${what}`, "aria-current": here === what ? "page" : null }, text);
  return h(
    "nav",
    { class: "tabs", "aria-label": "Parts of the report" },
    tab("findings", `Findings (${capture.findings})`),
    tab("connections", `Connections (${capture.connections.toLocaleString("en")})`),
    h("a", { href: api.page(capture.id), download: "" }, "Save the report"),
  );
}

export async function findingsView(capture) {
  const report = await api.report(capture.id);
  const query = { search: "", severity: "", question: "", certainty: "", sort: "time", from: 0, limit: 50 };
  const rows = h("div", { id: "findings" });
  const count = h("p", { id: "count" });
  const questions = h("select", { onchange: (e) => change("question", e.target.value) }, h("option", { value: "" }, "all"));
  let asked = 0;
  const load = async () => {
    const mine = ++asked;
    const list = await api.findings(capture.id, query);
    if (mine !== asked) return;
    if (questions.length === 1) questions.append(...list.questions.map((x) => h("option", { value: x }, x)));
    count.textContent = `${plural(list.total, "finding")}${list.total > list.findings.length ? `, ${list.from + 1} to ${list.from + list.findings.length} shown` : ""}`;
    show(rows, h("ul", { class: "findings" }, list.findings.map((f) => line(capture, f))), pages(list.total, query, load));
  };
  const change = (name, value) => {
    query[name] = value;
    query.from = 0;
    load().catch((e) => say(e.message));
  };
  const search = later((text) => change("search", text), 150);
  await load();
  return [
    h("h1", null, capture.name),
    tabs(capture, "findings"),
    head(capture, report),
    again(capture, report),
    report.findings.length > 0 && overview(capture),
    h(
      "form",
      { class: "filters", role: "search", onsubmit: (e) => e.preventDefault() },
      field("Search", h("input", { type: "search", id: "search", oninput: (e) => search(e.target.value) })),
      field("Severity", choice([["", "all"], ["problem", "problem"], ["notice", "notice"], ["harmless", "harmless"]], "", (v) => change("severity", v))),
      field("Question", questions),
      field("Certainty", choice([["", "all"], ["certain", "certain"], ["likely", "likely"], ["open", "open"]], "", (v) => change("certainty", v))),
      field("Order", choice([["time", "time"], ["severity", "the worst first"], ["question", "question"], ["client", "client"], ["server", "server"]], "time", (v) => change("sort", v))),
    ),
    count,
    rows,
  ];
}

function line(capture, f) {
  return h(
    "li",
    { class: `finding severity-${f.severity}` },
    h("a", { href: `#/${capture.id}/f/${encodeURIComponent(f.id)}` }, f.asks),
    h("p", null, f.says),
    h("p", { class: "small" }, badge("severity", f.severity), " ", badge("certainty", f.certainty), ` ${f.cause || f.question} · ${f.client} > ${f.server} · ${f.id}`),
  );
}

// pages are the buttons to the rows before and behind.
export function pages(total, query, load) {
  const step = (by) => {
    query.from = Math.max(0, query.from + by);
    load().catch((e) => say(e.message));
  };
  if (total <= query.limit) return null;
  return h(
    "p",
    { class: "pages" },
    h("button", { type: "button", disabled: query.from === 0, onclick: () => step(-query.limit) }, "Before"),
    h("button", { type: "button", disabled: query.from + query.limit >= total, onclick: () => step(query.limit) }, "Next"),
  );
}

// head says what was read, and what must be known before trusting it.
function head(capture, report) {
  const c = report.capture;
  return [
    h(
      "p",
      null,
      `${plural(c.packets, "packet")}, ${plural(c.segments, "TCP segment")}, ${plural(c.connections, "connection")}, ${size(capture.bytes)}`,
      c.first ? `, from ${c.first} to ${c.last}` : "",
      `; read in ${capture.took_s.toFixed(1)} s.`,
    ),
    c.warnings.length > 0 &&
      h("details", { class: "warnings", open: c.warnings.length < 4 }, h("summary", null, plural(c.warnings.length, "warning")), h("ul", null, c.warnings.map((w) => h("li", null, w.says, w.frame ? ` (frame ${w.frame})` : "")))),
    report.findings.length === 0 && h("p", { class: "verdict" }, "Nothing in this capture raises a question."),
  ];
}

// again reads the file once more, with what is known about the hosts.
export function again(capture, report, to) {
  const file = files.get(capture.id);
  const given = capture.facts.length > 0 && h("p", null, "Given: ", h("code", null, capture.facts.join(", ")));
  if (!file) return given;
  const text = h("textarea", { id: "facts", rows: "3", spellcheck: "false" });
  text.value = capture.facts.join("\n");
  const place = h("div", { id: "progress" });
  return [
    given,
    h(
      "details",
      { class: "again" },
      h("summary", null, "What is known about the hosts"),
      h(
        "form",
        {
          onsubmit: async (e) => {
            e.preventDefault();
            take(await api.info(), file, factLines(text.value), place, to);
          },
        },
        field("Facts, one a line", text, "WHO:NAME=VALUE, for example server:kernel=3.10 or server:tcp_tw_recycle=1"),
        h("button", { id: "again" }, "Read again with them"),
        place,
      ),
    ),
  ];
}
