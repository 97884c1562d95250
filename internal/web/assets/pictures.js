// The pictures that the server draws, put into the page: as wide as it is, and with rows
// that sentences light up.
import * as api from "./api.js";
import { h, later, show } from "./dom.js";

const kinds = [
  ["ladder", "Ladder"],
  ["ring", "Ring of sequence numbers"],
  ["clock", "Clock"],
  ["sequence", "Sequence numbers over time"],
];

// place draws into an element whenever that gets another width.
function place(element, draw) {
  let width = 0;
  const again = async () => {
    const now = element.clientWidth;
    if (now === 0 || now === width) return;
    width = now;
    const text = await draw(Math.max(320, Math.min(now, 1600)));
    if (!text) {
      element.closest("details").remove();
      return;
    }
    const svg = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
    if (svg.localName !== "svg") throw new Error("a picture cannot be read");
    show(element, document.importNode(svg, true));
  };
  new ResizeObserver(later(() => again().catch((e) => show(element, e.message)), 50)).observe(element);
}

function frame(title, open, draw, heading = "h3") {
  const inside = h("div", { class: "drawn", tabindex: "0", role: "region", "aria-label": title });
  place(inside, draw);
  return h("details", { open }, h("summary", null, h(heading, null, title)), inside);
}

export function pictures(capture, finding) {
  return h(
    "section",
    { class: "pictures", "aria-labelledby": "pictures" },
    h("h2", { id: "pictures" }, "Pictures"),
    kinds.map(([name, title]) => frame(title, name === "ladder" || name === "ring", (width) => api.picture(capture.id, finding.id, name, width))),
  );
}

export const overview = (capture) => frame("Connections over time", false, (width) => api.overview(capture.id, width), "h2");
