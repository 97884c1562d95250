// Numbers of a finding that the model is asked with. Sequence numbers wrap: 32 bits.

export const wrap = (n) => n >>> 0;

// after is the kernel's signed compare: a lies up to 2^31 ahead of b.
export const after = (a, b) => ((b - a) | 0) < 0;

// shape is what a step of a ladder says of its frame, null where it is none.
export function shape(step) {
  if (!step.frame) return null;
  if (step.fields) {
    const f = step.fields;
    return { flags: f.flags, seq: f.seq, ack: f.flags.includes(".") ? f.ack : null, len: f.len, window: f.window, tsval: f.tsval ?? null, tsecr: f.tsecr ?? null };
  }
  const m = /^(\S+) (\d+):\d+\((\d+)\)(?: ack (\d+))?(?: win (\d+))?/.exec(step.segment || "");
  if (!m) return null;
  const ts = /TS val (\d+) ecr (\d+)/.exec(step.segment);
  const number = (x) => (x === undefined ? null : Number(x));
  return { flags: m[1], seq: Number(m[2]), len: Number(m[3]), ack: number(m[4]), window: number(m[5]), tsval: ts ? Number(ts[1]) : null, tsecr: ts ? Number(ts[2]) : null };
}

// room is what a frame takes of the sequence: its payload, SYN and FIN.
const room = (f) => f.len + (f.flags.includes("S") ? 1 : 0) + (f.flags.includes("F") ? 1 : 0);

// asked is the frame that the model can be asked about: the first asked about that is a SYN,
// else the first at all.
function askedStep(finding) {
  const steps = finding.ladder.filter((s) => s.asked && shape(s));
  return steps.find((s) => /^S[EW]*$/.test(shape(s).flags)) || steps[0];
}

// question turns a finding into the fields of the what-if panel: what the end that
// answers remembers from the frames before, and the segment that met it.
export function question(finding) {
  const step = finding && finding.ladder && askedStep(finding);
  if (!step) return {};
  const segment = shape(step);
  const syn = /^S[EW]*$/.test(segment.flags);
  const before = finding.ladder.filter((s) => s.at_s <= step.at_s && s.frame < step.frame && shape(s) && (!syn || s.incarnation !== step.incarnation));
  const out = { state: syn ? (before.length ? "time-wait" : "listen") : "established", segment, settings: {}, at: 1 };
  if (before.length === 0) return out;
  let rcv = null;
  let snd = null;
  let ts = null;
  for (const s of before) {
    const f = shape(s);
    const end = wrap(f.seq + room(f));
    if (s.from === step.from) {
      if (rcv === null || after(end, rcv)) rcv = end;
      if (f.tsval !== null) ts = f.tsval;
    } else if (!f.flags.includes("R") && (snd === null || after(end, snd))) snd = end;
  }
  const ring = finding.ring || {};
  out.settings = { rcv_nxt: ring.rcv_nxt ?? rcv, snd_nxt: ring.snd_nxt ?? snd, ts_recent: ts ?? "none" };
  out.at = Math.max(0, Number((step.at_s - before[before.length - 1].at_s).toFixed(6)));
  return out;
}

// written puts a segment into packetdrill's notation.
export function written(f) {
  const end = wrap(f.seq + f.len);
  const ack = f.ack === null ? "" : ` ack ${f.ack}`;
  const ts = f.tsval === null ? "" : ` <TS val ${f.tsval} ecr ${f.tsecr || 0}>`;
  return `< ${f.flags} ${f.seq}:${end}(${f.len})${ack} win ${f.window ?? 29200}${ts}`;
}
