// The JSON API of the server; /api/openapi.json describes it.

async function ask(path, options) {
  const response = await fetch(path, options);
  if (response.status === 204) return null;
  const body = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
  if (!response.ok) throw new Error(body.error || `the server answered ${response.status}`);
  return body;
}

const at = (...parts) => "/api/" + parts.map(encodeURIComponent).join("/");

export const info = () => ask(at("info"));
export const captures = () => ask(at("captures"));
export const capture = (id) => ask(at("captures", id));
export const report = (id) => ask(at("captures", id, "report"));
export const forget = (id) => ask(at("captures", id), { method: "DELETE" });
export const finding = (id, f) => ask(at("captures", id, "findings", f));
export const findings = (id, query) => ask(at("captures", id, "findings") + "?" + new URLSearchParams(query));
export const connections = (id, query) => ask(at("captures", id, "connections") + "?" + new URLSearchParams(query));
// A picture is text of SVG, null where there is none.
async function drawn(path, width) {
  const response = await fetch(`${path}?width=${Math.round(width)}`);
  return response.status === 200 ? response.text() : null;
}
export const picture = (id, f, name, width) => drawn(at("captures", id, "findings", f, "pictures", name), width);
export const overview = (id, width) => drawn(at("captures", id, "overview"), width);
export const page = (id) => at("captures", id, "page");

export const whatif = (question, signal) =>
  ask(at("whatif"), { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(question), signal });

// upload sends a file. sent is called with the bytes that went out; the returned object
// has the promise of the capture, and a way to break off.
export function upload(file, facts, sent) {
  const query = new URLSearchParams({ name: file.name });
  for (const fact of facts) query.append("fact", fact);
  const request = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    request.open("POST", at("captures") + "?" + query);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    request.upload.onprogress = (e) => sent(e.loaded);
    request.onload = () => {
      if (request.status === 201) resolve(request.response);
      else reject(new Error((request.response && request.response.error) || `the server answered ${request.status}`));
    };
    request.onerror = () => reject(new Error("the connection to tcpwhy broke off: does it still run?"));
    request.onabort = () => reject(new Error("broken off"));
    request.send(file);
  });
  return { done, abort: () => request.abort() };
}

// reading calls f with what the server is reading, whenever that changes, until the
// returned function is called.
export function reading(f) {
  const source = new EventSource(at("events"));
  source.addEventListener("reading", (e) => f(JSON.parse(e.data).reading));
  return () => source.close();
}
