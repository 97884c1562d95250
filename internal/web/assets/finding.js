// One finding: the verdict, the reasons with their frames, the ladder, and the model to ask.
import * as api from "./api.js";
import { badge, h, plural, say } from "./dom.js";
import { again, tabs } from "./findings.js";
import { ladder } from "./ladder.js";
import { pictures } from "./pictures.js";
import { whatifPanel } from "./whatif.js";

const standing = { fits: "fits", "ruled-out": "ruled out", open: "stays open" };

export async function findingView(capture, id, info) {
  const f = await api.finding(capture.id, id);
  const rungs = ladder(f);
  const sentences = (list) => h("ul", { class: "sentences" }, list.map((e) => h("li", null, sentence(e, rungs))));
  const cause = (c) =>
    h(
      "details",
      { class: `cause stands-${c.stands}`, open: c.stands !== "ruled-out" },
      h("summary", null, h("h3", null, c.cause), " ", badge("stands", standing[c.stands] || c.stands), c.against_db > 0 && h("span", { class: "small" }, ` ${c.against_db} dB against it`)),
      h("p", null, c.says),
      c.assumes.length > 0 && h("p", null, "It assumes: ", c.assumes.join("; ")),
      sentences(c.evidence),
    );
  return [
    h("h1", null, f.asks),
    tabs(capture, ""),
    h("p", { class: `verdict severity-${f.verdict.severity}`, id: "verdict" }, f.verdict.says),
    h("p", null, badge("certainty", f.verdict.certainty), " ", badge("severity", f.verdict.severity), " ", f.verdict.cause && h("code", null, f.verdict.cause), ` fault: ${f.verdict.fault.replaceAll("-", " ")} · ${f.flow.client} > ${f.flow.server} · ${plural(f.frames.length, "frame")}: ${f.frames.join(", ")}`),
    (f.warnings || []).length > 0 && h("ul", { class: "warnings" }, f.warnings.map((w) => h("li", null, w.says, w.frame ? ` (frame ${w.frame})` : ""))),
    h(
      "div",
      { class: "halves" },
      h("section", { "aria-labelledby": "reasons" }, h("h2", { id: "reasons" }, "Reasons"), h("p", { class: "small" }, "A sentence lights up its frames; press it to go to them."), f.causes.map(cause)),
      h("section", { class: "frames", "aria-labelledby": "frames" }, h("h2", { id: "frames" }, "Frames"), rungs.list),
    ),
    pictures(capture, f),
    f.settle.length > 0 &&
      h("section", { "aria-labelledby": "settle" }, h("h2", { id: "settle" }, "What settles it"), h("ul", null, f.settle.map((s) => h("li", null, `on the ${s.on}: `, h("code", { class: "command" }, s.command), ` – if ${s.if}, it is `, h("code", null, s.then))))),
    f.advice.length > 0 && h("section", { "aria-labelledby": "advice" }, h("h2", { id: "advice" }, "Advice"), h("ul", null, f.advice.map((x) => h("li", null, x)))),
    again(capture, null, (c) => `#/${c.id}/f/${encodeURIComponent(id)}`),
    h("section", { class: "whatif", "aria-labelledby": "whatif" }, h("h2", { id: "whatif" }, "What if"), whatifPanel(info, f)),
  ];
}

// sentence is a piece of evidence: looked at it lights its frames up, pressed it leads there.
function sentence(e, rungs) {
  const known = e.frames.filter((n) => rungs.rows.has(n));
  const where = e.frames.length > 0 ? ` (${e.frames.length === 1 ? "frame" : "frames"} ${e.frames.join(", ")})` : "";
  const content = [h("span", { class: `answer answer-${e.answer}` }, e.answer), " ", e.says, where];
  const source = e.source && h("small", { class: "source" }, e.source);
  if (known.length === 0) return [h("p", { class: "sentence" }, content), source];
  const lit = (on) => () => rungs.light(known, "lit", on);
  const follow = () => {
    for (const [frame] of rungs.rows) rungs.light([frame], "held", false);
    rungs.light(known, "held", true);
    const row = rungs.rows.get(known[0]);
    row.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    row.focus({ preventScroll: true });
    say(`Frame ${known[0]}`);
  };
  return [h("button", { type: "button", class: "sentence", onmouseenter: lit(true), onmouseleave: lit(false), onfocus: lit(true), onblur: lit(false), onclick: follow }, content), source];
}
