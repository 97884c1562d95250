// Building the page. Whatever comes from a capture is put in as text, never as markup.

// h makes an element: attributes, functions as listeners ("onclick"), and children; what is
// null, undefined or false is left out.
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

// s makes an element of SVG.
export function s(tag, attributes, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

// show replaces what an element holds.
export function show(element, ...children) {
  element.replaceChildren();
  fill(element, null, children);
}

// say tells people who listen to the page what happens.
export function say(text) {
  document.getElementById("status").textContent = text;
}

// field is a labelled input, select or textarea.
let fields = 0;
export function field(label, control, hint) {
  control.id = control.id || `field-${++fields}`;
  const parts = [h("label", { for: control.id }, label), control];
  if (hint) {
    parts.push(h("small", { id: `${control.id}-hint` }, hint));
    control.setAttribute("aria-describedby", `${control.id}-hint`);
  }
  return h("div", { class: "field" }, parts);
}

// choice is a select of [value, text] pairs.
export function choice(pairs, value, onchange) {
  const list = h("select", { onchange: (e) => onchange(e.target.value) }, pairs.map(([v, text]) => h("option", { value: v }, text)));
  list.value = value;
  return list;
}

// badge shows one word of a verdict: as text, with a shape and a colour beside.
export function badge(kind, word) {
  return h("span", { class: `badge ${kind}-${word}` }, String(word).replaceAll("-", " "));
}

export function plural(n, one, many) {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many || one + "s"}`;
}

export function size(bytes) {
  for (const [unit, n] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) {
    if (bytes >= n) return `${(bytes / n).toFixed(bytes >= 10 * n ? 0 : 1)} ${unit}`;
  }
  return plural(bytes, "byte");
}

// later calls f once nothing was asked for a while.
export function later(f, milliseconds) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(f, milliseconds, ...args);
  };
}
