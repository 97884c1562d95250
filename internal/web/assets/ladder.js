// The ladder of a finding as a list: the deciding frames between the two ends.
import { h } from "./dom.js";
import { shape } from "./numbers.js";

// ladder returns the list, and light, which marks frames: kind "lit" while a sentence is
// looked at, "held" where it was followed.
export function ladder(finding) {
  const rows = new Map();
  let incarnation = 0;
  const items = finding.ladder.map((step) => {
    if (!step.frame) return h("li", { class: "gap" }, step.note);
    const fresh = step.incarnation && incarnation && step.incarnation !== incarnation;
    incarnation = step.incarnation || incarnation;
    const row = h(
      "li",
      { class: `frame from-${step.from}${step.asked ? " asked" : ""}${fresh ? " fresh" : ""}`, id: `frame-${step.frame}`, tabindex: "-1", title: fieldsOf(step) },
      h("span", { class: "number" }, h("span", { class: "unseen" }, "frame "), step.frame),
      h("span", { class: "at" }, `${step.at_s.toFixed(6)} s`),
      h("span", { class: "arrow" }, h("span", { class: "unseen" }, step.from === "client" ? " from the client: " : " from the server: "), h("code", null, step.segment)),
      step.asked && h("span", { class: "mark" }, "asked about"),
      step.note && h("span", { class: "note" }, step.note),
    );
    rows.set(step.frame, row);
    return row;
  });
  const light = (frames, kind, on) => {
    for (const frame of frames) {
      const row = rows.get(frame);
      if (row) row.classList.toggle(kind, on);
      const drawn = document.getElementById(`ladder-frame-${frame}`); // in the picture
      if (drawn) drawn.classList.toggle(kind, on);
    }
  };
  const list = h(
    "div",
    { class: "ladder" },
    h("p", { class: "ends" }, h("span", null, h("b", null, "client "), finding.flow.client), h("span", null, h("b", null, "server "), finding.flow.server)),
    h("ol", { "aria-label": "Deciding frames" }, items),
  );
  return { list, rows, light };
}

// fieldsOf lists the numbers of a frame, for hovering.
function fieldsOf(step) {
  const f = shape(step);
  if (!f) return step.time || "";
  const say = (name, value) => (value === null || value === undefined ? "" : `\n${name} ${value}`);
  const x = step.fields || {};
  return `${step.time || ""}\nflags ${f.flags}${say("seq", f.seq)}${say("ack", f.ack)}${say("len", f.len)}${say("win", f.window)}${say("TSval", f.tsval)}${say("TSecr", f.tsecr)}${say("TTL", x.ttl)}${say("IP id", x.ip_id)}${say("mss", x.mss)}`.trim();
}
