// The whole of what a page needs to talk to daogou. Copy it: it has no dependencies.

/** A visitor's client: `key` is the shop's publishable key. */
export class Daogou {
  constructor(key, storage = globalThis.localStorage) { this.key = key; this.storage = storage; }

  /** The visitor's id and token, kept between visits; a new visitor where there is none yet. */
  async visitor(renew = false) {
    const kept = renew ? null : JSON.parse(this.storage.getItem("daogou") ?? "null");
    if (kept && kept.expires_ms > Date.now()) return (this.who = kept);
    const answer = await fetch("/v1/visitors", { method: "POST", headers: { Authorization: `Bearer ${this.key}` } });
    if (!answer.ok) throw await problem(answer);
    this.who = await answer.json();
    this.storage.setItem("daogou", JSON.stringify(this.who));
    return this.who;
  }

  /** One call; a token that is good no more is renewed once. */
  async call(path, options = {}, again = true) {
    const headers = { ...options.headers, Authorization: `Bearer ${this.who.token}` };
    const answer = await fetch(path, { ...options, headers });
    if (answer.status === 401 && again) { await this.visitor(true); return this.call(path, options, false); }
    if (!answer.ok) throw await problem(answer);
    return answer.json();
  }

  get(path, query = {}) {
    const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
    return this.call(given.length ? `${path}?${new URLSearchParams(given)}` : path);
  }

  /** Tell what the visitor did; resolves once it is in the log, to a token for `after`. */
  async did(...events) {
    const common = () => ({ event_id: crypto.randomUUID(), user_id: this.who.user_id, time_ms: Date.now() });
    const body = JSON.stringify(events.map((event) => ({ ...common(), ...event })));
    return this.call("/v1/events", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  }

  forget() { return this.call("/v1/profile", { method: "DELETE" }); }

  /** Slates as they are made, for ever: it reconnects, and goes on after the last one it has seen. */
  async listen(heard) {
    for (let last = "", wait = 250; ; wait = Math.min(wait * 2, 5000)) {
      try {
        const headers = { Authorization: `Bearer ${this.who.token}`, ...(last && { "Last-Event-ID": last }) };
        const answer = await fetch("/v1/stream", { headers });
        if (answer.status === 401) await this.visitor(true);
        if (answer.ok) { wait = 250; for await (const each of messages(answer.body)) { last = each.id || last; heard(each.event, JSON.parse(each.data)); } }
      } catch { /* the server is away; try again */ }
      await new Promise((done) => setTimeout(done, wait));
    }
  }
}

async function problem(answer) {
  const body = await answer.json().catch(() => ({}));
  return new Error(body.detail ?? `HTTP ${answer.status}`);
}

/** Server-sent events of a response's body. */
async function* messages(body) {
  let rest = "";
  for await (const chunk of stream(body.pipeThrough(new TextDecoderStream()))) {
    const blocks = (rest + chunk).replaceAll("\r", "").split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s).slice(0, 2)));
      if (fields.data) yield fields;
    }
  }
}

async function* stream(readable) {
  const reader = readable.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
}
