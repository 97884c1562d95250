// The circle of the 2^32 sequence numbers, drawn from the numbers of a question.
import { s } from "./dom.js";
import { after, wrap } from "./numbers.js";

const turn = 2 ** 32;
const place = (n, r) => {
  const angle = (2 * Math.PI * n) / turn;
  return [r * Math.sin(angle), -r * Math.cos(angle)];
};

// marks: each number has a radius and a shape of its own, so that equal ones do not cover
// each other, and a letter that the list below explains.
const marks = [
  ["R", "rcv_nxt", 76, "square"],
  ["S", "seq", 112, "disc"],
  ["N", "snd_nxt", 130, "diamond"],
  ["I", "snd_nxt + 65537", 148, "triangle"],
];

function shapeOf(shape, [x, y]) {
  const size = 5;
  switch (shape) {
    case "square":
      return s("rect", { x: x - size, y: y - size, width: 2 * size, height: 2 * size });
    case "disc":
      return s("circle", { cx: x, cy: y, r: size });
    case "diamond":
      return s("path", { d: `M${x} ${y - 1.4 * size}L${x + 1.4 * size} ${y}L${x} ${y + 1.4 * size}L${x - 1.4 * size} ${y}Z` });
  }
  return s("path", { d: `M${x} ${y - 1.4 * size}L${x + 1.3 * size} ${y + size}L${x - 1.3 * size} ${y + size}Z` });
}

// ring draws seq, rcv_nxt and snd_nxt; null where a number is not known.
export function ring(seq, rcvNxt, sndNxt) {
  const values = { R: rcvNxt, S: seq, N: sndNxt, I: sndNxt === null ? null : wrap(sndNxt + 65537) };
  const told = marks.filter(([letter]) => values[letter] !== null);
  const isAfter = rcvNxt === null || seq === null ? null : after(seq, rcvNxt);
  const verdict = isAfter === null ? "after(seq, rcv_nxt) is not known" : `after(seq ${seq}, rcv_nxt ${rcvNxt}) = ${isAfter}`;
  const parts = [s("circle", { r: 94, class: "circle" })];
  if (rcvNxt !== null) {
    const [x1, y1] = place(rcvNxt, 94);
    const [x2, y2] = place(wrap(rcvNxt + 2 ** 31), 94);
    parts.push(s("path", { class: "after", d: `M${x1} ${y1}A94 94 0 0 1 ${x2} ${y2}` }));
    const [tx, ty] = place(wrap(rcvNxt + 2 ** 30), 44);
    parts.push(s("text", { x: tx, y: ty, class: "half" }, "after"));
  }
  for (const quarter of [0, 1, 2, 3]) {
    const n = quarter * 2 ** 30;
    const [x1, y1] = place(n, 90);
    const [x2, y2] = place(n, 98);
    parts.push(s("line", { x1, y1, x2, y2, class: "tick" }));
  }
  for (const [letter, , radius, shape] of told) {
    const n = values[letter];
    const [x1, y1] = place(n, 94);
    const at = place(n, radius);
    const mark = shapeOf(shape, at);
    mark.setAttribute("class", `mark mark-${letter}`);
    parts.push(s("line", { x1, y1, x2: at[0], y2: at[1], class: "stem" }), mark);
    // The letter stands beside its mark, across the way to the middle.
    const angle = (2 * Math.PI * n) / turn;
    parts.push(s("text", { x: at[0] + 12 * Math.cos(angle), y: at[1] + 12 * Math.sin(angle), class: "letter" }, letter));
  }
  return s(
    "svg",
    { viewBox: "-165 -165 330 330", role: "img", class: "ring", "aria-labelledby": "ring-title", "aria-describedby": "ring-desc" },
    s("title", { id: "ring-title" }, "The sequence numbers on their circle"),
    s("desc", { id: "ring-desc" }, `${verdict}. ${told.map(([letter, name]) => `${letter}: ${name} ${values[letter]}`).join(", ")}.`),
    parts,
  );
}

// legend says what the marks are, in words.
export function legend(seq, rcvNxt, sndNxt) {
  const values = { R: rcvNxt, S: seq, N: sndNxt, I: sndNxt === null ? null : wrap(sndNxt + 65537) };
  return marks.filter(([letter]) => values[letter] !== null).map(([letter, name]) => [letter, name, values[letter]]);
}
