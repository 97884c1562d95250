// The panel that asks the kernel model: numbers of a finding, or typed ones.
import * as api from "./api.js";
import { badge, choice, field, h, later, show } from "./dom.js";
import { after, question, written } from "./numbers.js";
import { legend, ring } from "./ring.js";

const kernels = ["all", "2.6.32-754.el6", "3.10.0-1127.el7", "3.16", "4.4", "4.9", "4.14.336", "4.18.0-553.el8", "4.19", "5.4", "5.10", "5.15", "6.1", "6.6", "6.12.43", "6.18"];
const sysctls = ["tcp_timestamps", "tcp_tw_recycle", "tcp_tw_reuse", "tcp_rfc1337"];
const flags = [["S", "SYN"], [".", "ACK"], ["S.", "SYN ACK"], ["F.", "FIN ACK"], ["P.", "PSH ACK"], ["R", "RST"], ["R.", "RST ACK"]];

// numberOf reads a 32-bit number, null where there is none.
const numberOf = (text) => (/^\d+$/.test(text.trim()) && Number(text) < 2 ** 32 ? Number(text) : null);

export function whatifPanel(info, finding) {
  return new Panel(info, finding).element;
}

class Panel {
  constructor(info, finding) {
    this.info = info;
    this.start = question(finding);
    this.settings = { ...this.start.settings };
    this.segment = { flags: "S", seq: 0, len: 0, ack: null, tsval: null, tsecr: null, window: 29200, ...this.start.segment };
    this.answered = h("div", { id: "answer" });
    this.picture = h("div", { class: "picture" });
    this.live = h("p", { class: "outcome", id: "outcome", role: "status", "aria-live": "polite" });
    this.before = h("p", { class: "small", id: "before" });
    this.keys = h("div", { class: "fields" });
    this.changed = later(() => this.ask(), 120);
    this.running = null;
    this.first = null; // the outcome with the finding's own numbers
    this.element = h("div", { class: "panel" }, this.form(), h("div", { class: "result" }, this.picture, this.live, this.before, this.answered));
    this.draw();
    this.ask();
  }

  // input is a text field whose changes ask the model.
  input(name, value, take, list) {
    return h("input", {
      id: `q-${name}`, value: value ?? "", autocomplete: "off", spellcheck: "false", list,
      oninput: (e) => {
        take(e.target.value.trim());
        this.draw();
        this.changed();
      },
    });
  }

  form() {
    const s = this.segment;
    this.state = this.start.state || "time-wait";
    this.kernel = "";
    this.at = String(this.start.at ?? 1);
    this.listener = "";
    this.ipv6 = false;
    this.set = {};
    this.more = "";
    const number = (name) => (text) => (s[name] = numberOf(text));
    this.seq = this.input("seq", s.seq, number("seq"));
    this.slider = h("input", {
      id: "q-slider", type: "range", min: "0", max: String(2 ** 32 - 1), step: "1", value: String(s.seq ?? 0),
      oninput: (e) => {
        s.seq = Number(e.target.value);
        this.seq.value = String(s.seq);
        this.draw();
        this.changed();
      },
    });
    this.fillKeys();
    const pick = (f) => (value) => {
      f(value);
      this.draw();
      this.changed();
    };
    return h(
      "form",
      { class: "question", onsubmit: (e) => e.preventDefault() },
      h("fieldset", null, h("legend", null, "The host"), h("div", { class: "fields" },
        field("Kernel", this.input("kernel", "", (v) => (this.kernel = v), "kernels"), "what uname -r prints; all; empty: not known"),
        h("datalist", { id: "kernels" }, kernels.map((k) => h("option", { value: k }))),
        sysctls.map((name) => field(name, this.input(name, "", (v) => (this.set[name] = v)))),
        field("More sysctls", this.input("more", "", (v) => (this.more = v)), "NAME=VALUE, with spaces between"),
        field("Somebody listens", choice([["", "as usual"], ["yes", "yes"], ["no", "no"], ["unknown", "not known"]], "", pick((v) => (this.listener = v)))),
        field("Family", choice([["", "IPv4"], ["6", "IPv6"]], "", pick((v) => (this.ipv6 = v === "6")))),
      )),
      h("fieldset", null, h("legend", null, "What it holds"), h("div", { class: "fields" },
        field("State", choice(this.info.states.map((x) => [x.name, x.says]), this.state, pick((v) => {
          this.state = v;
          this.fillKeys();
        }))),
        field("Seconds since it began", this.input("at", this.at, (v) => (this.at = v))),
      ), this.keys),
      h("fieldset", null, h("legend", null, "What arrives"), h("div", { class: "fields" },
        field("Segment", choice(flags.some(([f]) => f === s.flags) ? flags : [[s.flags, s.flags], ...flags], s.flags, pick((v) => (s.flags = v)))),
        field("Sequence number", this.seq),
        field("Sequence number, all of them", this.slider),
        field("ACK number", this.input("ack", s.ack, number("ack"))),
        field("Payload, bytes", this.input("len", s.len, number("len"))),
        field("TSval", this.input("tsval", s.tsval, number("tsval")), "empty: no timestamps"),
        field("TSecr", this.input("tsecr", s.tsecr, number("tsecr"))),
      )),
    );
  }

  // fillKeys makes the fields of the state.
  fillKeys() {
    const state = this.info.states.find((x) => x.name === this.state);
    const keys = state ? state.keys : [];
    show(this.keys, keys.map((key) => field(key, this.input(key, this.settings[key], (v) => (this.settings[key] = v)))));
  }

  // value is a number of the state.
  value(key) {
    return numberOf(String(this.settings[key] ?? ""));
  }

  draw() {
    const { seq } = this.segment;
    if (seq !== null) this.slider.value = String(seq);
    const [rcv, snd] = [this.value("rcv_nxt"), this.value("snd_nxt")];
    const told = seq === null || rcv === null ? "" : `after(${seq}, ${rcv}) = ${after(seq, rcv)}`;
    show(this.picture, ring(seq, rcv, snd), h("dl", null, legend(seq, rcv, snd).map(([letter, name, value]) => h("div", null, h("dt", null, h("b", null, letter), ` ${name}`), h("dd", null, value)))), told && h("p", { id: "after" }, told));
  }

  question() {
    const state = this.info.states.find((x) => x.name === this.state);
    const settings = {};
    for (const key of state ? state.keys : []) {
      const value = String(this.settings[key] ?? "").trim();
      if (value) settings[key] = value;
    }
    const set = Object.entries(this.set).filter(([, v]) => v).map(([name, v]) => `${name}=${v}`);
    const segment = { ...this.segment, seq: this.segment.seq ?? 0, len: this.segment.len ?? 0 };
    if (segment.flags === "S" || segment.flags === "R") segment.ack = null;
    else if (segment.ack === null) segment.ack = 0;
    const at = Number(this.at);
    return {
      state: this.state, settings, kernel: this.kernel, listener: this.listener, ipv6: this.ipv6,
      set: set.concat(this.more.split(/\s+/).filter(Boolean)),
      at_s: this.at === "" || Number.isNaN(at) ? 1 : at,
      segment: this.state === "own-time-wait" ? "" : written(segment),
    };
  }

  async ask() {
    if (this.running) this.running.abort();
    const mine = (this.running = new AbortController());
    try {
      const answer = await api.whatif(this.question(), mine.signal);
      if (mine !== this.running) return;
      const outcome = answer.behaviours ? answer.behaviours.map((b) => `${b.kernels}: ${outcomes(b.stages)}`).join(" · ") : outcomes(answer.stages);
      if (this.live.textContent !== outcome) this.live.textContent = outcome;
      if (this.first === null) this.first = outcome;
      this.before.textContent = this.start.segment && this.first !== outcome ? `With the finding's numbers and nothing known of the host: ${this.first}` : "";
      show(this.answered, told(answer));
    } catch (e) {
      if (e.name === "AbortError") return;
      this.live.textContent = e.message;
      show(this.answered);
    }
  }
}

// outcomes puts what may happen into a sentence, as the command does.
const outcomes = (stages) => stages.map((s) => (s.when ? `${s.when}: ` : "") + s.outcomes.map((o) => `${o.says} [${o.rule}]`).join(", or ")).join("; or ");

function told(a) {
  const list = (title, items) => items.length > 0 && [h("h3", null, title), h("ul", null, items.map((x) => h("li", null, x)))];
  return [
    a.segment && h("p", { class: "small" }, "asked: ", h("code", null, `${a.state} ${a.given.join(" ")} '< ${a.segment}'`)),
    a.behaviours && h("ul", { class: "behaviours" }, a.behaviours.map((b) => h("li", null, h("b", null, b.kernels), ": ", outcomes(b.stages)))),
    list("Not known", (a.missing || []).map((m) => m.fact)),
    list("Taken for granted", a.assumes.map((x) => x.says)),
    (a.stages || []).map((s) => [
      list("Why", s.outcomes.flatMap((o) => o.because || [])),
      (s.rules || []).length > 0 && [h("h3", null, s.when ? `Rules asked (${s.when})` : "Rules asked"), h("ol", { class: "rules" }, s.rules.map(rule))],
    ]),
    a.sequel && sequel(a.sequel),
  ];
}

const rule = (r) =>
  h(
    "li",
    null,
    h(
      "details",
      { open: r.answer !== "no" },
      h("summary", null, badge("answer", r.answer), ` ${r.rule}: ${r.says}`),
      h("ul", null, r.clauses.map((c) => h("li", null, badge("answer", c.answer), ` ${c.says} (${c.because})`))),
      h("small", { class: "source" }, r.source),
    ),
  );

const sequel = (q) => [
  h("h3", null, "After that ACK the opener, by its kernel"),
  h("ul", null, q.openers.map((o) => h("li", null, h("b", null, o.kernels), `: ${o.says}`))),
  q.there.map((t) => h("p", null, `and there (${t.kernels}; opener ${t.openers}): `, t.rst && `to its RST ${t.rst}`, t.syn && `; to its SYN again ${t.syn}`)),
];

