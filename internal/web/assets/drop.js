// Where a capture comes in: dropped, or chosen.
import * as api from "./api.js";
import { field, h, say, show, size } from "./dom.js";

// files are those that were read in this page, by the id of their capture: they can
// be read again with other facts.
export const files = new Map();

export function dropView(info) {
  const input = h("input", { type: "file", id: "file", onchange: (e) => takeFiles(info, [...e.target.files]) });
  const facts = h("textarea", { id: "facts", rows: "3", spellcheck: "false", placeholder: "server:kernel=3.10\nserver:tcp_tw_recycle=1" });
  return [
    h("h1", null, "Why did TCP do that?"),
    h(
      "div",
      { id: "drop", class: "drop" },
      h("p", null, h("label", { for: "file", class: "big" }, "Drop a capture here, or choose a file")),
      input,
      h("p", null, `pcap or pcapng, also packed (.gz, .zst), or pasted text of tcpdump or tshark; up to ${size(info.max_upload)}. It is read by the tcpwhy that serves this page; nothing is sent elsewhere, and the file is not kept.`),
    ),
    h("div", { id: "progress" }),
    h("details", null, h("summary", null, "What is known about the hosts"), field("Facts, one a line", facts, "WHO:NAME=VALUE; WHO is client, server or an address, NAME is kernel or a sysctl")),
  ];
}

export const factLines = (text) => text.split("\n").map((x) => x.trim()).filter(Boolean);

// takeFiles reads the first of the files.
export function takeFiles(info, list) {
  if (list.length > 1) say("One capture at a time: the first is read.");
  if (list.length === 0) return;
  const facts = document.getElementById("facts");
  take(info, list[0], factLines(facts ? facts.value : ""), document.getElementById("progress"));
}

// take reads a file and shows how far it is in place; then it goes to the findings, or
// where to says.
export async function take(info, file, facts, place, to) {
  if (file.size > info.max_upload) {
    failed(place, `${file.name} has ${size(file.size)}, and this server reads ${size(info.max_upload)} (--max-upload): give it to tcpwhy on the command line.`);
    return;
  }
  const bar = h("progress", { max: String(Math.max(1, file.size)), value: "0", "aria-label": `Reading ${file.name}` });
  const words = h("p", null);
  let quarter = -1;
  let read = 0;
  const tell = () => {
    const percent = file.size > 0 ? Math.floor((100 * read) / file.size) : 0;
    bar.value = read;
    words.textContent = `${file.name}: ${size(read)} of ${size(file.size)} read, ${percent} %`;
    if (Math.floor(percent / 25) > quarter) {
      quarter = Math.floor(percent / 25);
      say(quarter === 4 ? `${file.name} is read; looking for causes` : `Reading ${file.name}: ${percent} %`);
    }
  };
  const job = api.upload(file, facts, (sent) => {
    read = Math.max(read, Math.min(sent, file.size));
    tell();
  });
  const stop = api.reading((list) => {
    const mine = list.find((x) => x.name === file.name && x.size === file.size);
    if (!mine) return;
    read = mine.read; // what the server has read, where it lags behind what was sent
    tell();
  });
  show(place, bar, words, h("button", { type: "button", onclick: () => job.abort() }, "Break off"));
  tell();
  try {
    const capture = await job.done;
    files.set(capture.id, file);
    say(`${file.name} is read.`);
    location.hash = (to && to(capture)) || `#/${capture.id}/findings`;
  } catch (e) {
    failed(place, e.message);
  } finally {
    stop();
  }
}

function failed(place, message) {
  show(place, h("p", { class: "error" }, message));
  say(message);
}
