// Dead letters: by reason, one opened, sent back.

import { byId, el } from "../dom.js";
import { clock, rows, table, whole } from "./words.js";

const cut = (text) => (text.length > 120 ? `${text.slice(0, 120)}…` : text);

/** `call`: one call of the API. Returns what refreshes the panel. */
export function startLetters(call) {
  const chosen = { reason: "" };

  async function refresh() {
    try {
      draw(await call(`/v1/operator/dead-letters?${new URLSearchParams(chosen.reason ? { reason: chosen.reason } : {})}`));
    } catch (error) { byId("letters-note").replaceChildren(el("span", { class: "away" }, error.message)); }
  }

  function draw(found) {
    if (byId("reasons").contains(document.activeElement) && byId("reasons").dataset.said === JSON.stringify([found.reasons, chosen.reason])) return fill(found);
    byId("reasons").dataset.said = JSON.stringify([found.reasons, chosen.reason]);
    const held = document.activeElement?.dataset?.reason;
    byId("reasons").replaceChildren(button("", `all ${whole(found.looked_at)}`), ...found.reasons.map((each) => button(each.cause, `${each.cause} ${whole(each.count)}`)));
    if (held !== undefined) byId("reasons").querySelector(`[data-reason="${CSS.escape(held)}"]`)?.focus();
    return fill(found);
  }

  function button(reason, words) {
    const choose = () => { chosen.reason = reason; refresh(); };
    return el("button", { "data-reason": reason, "aria-pressed": String(chosen.reason === reason), on: { click: choose } }, words);
  }

  function fill(found) {
    const held = document.activeElement?.dataset?.at;
    rows("letters", found.letters.map((each) => [each.reason, each.message, `${each.topic || "unknown"} ${each.partition}/${each.offset}`, each.attempts, cut(each.value),
      el("button", { "data-at": each.at, "aria-label": `open letter ${each.at}`, on: { click: () => open(each.at) } }, "open")]));
    if (held) byId("letters").querySelector(`[data-at="${CSS.escape(held)}"]`)?.focus();
    const older = found.total > found.looked_at ? ` ${whole(found.total)} are kept in all; the newest ${whole(found.looked_at)} are counted.` : "";
    byId("letters-note").replaceChildren(found.letters.length ? `The newest ${whole(found.letters.length)}.${older}` : "None.");
  }

  async function open(at) {
    const place = byId("letter");
    try {
      const found = await call(`/v1/operator/dead-letters/one?at=${encodeURIComponent(at)}`);
      const { letter } = found;
      place.replaceChildren(
        el("h3", {}, `Letter ${letter.at}: ${letter.reason}`), el("p", {}, letter.message),
        el("p", { class: "why" }, `From ${letter.topic || "an unknown topic"}, partition ${letter.partition}, offset ${letter.offset}; tried ${letter.attempts} time${letter.attempts === 1 ? "" : "s"}; ${letter.failed_ms ? `failed at ${clock(letter.failed_ms)}` : "nobody knows when"}; ${found.exception || "no exception named"}.`),
        el("p", {}, `key: ${letter.key}`), el("pre", { tabindex: "0", "aria-label": "value" }, letter.value),
        ...(found.binary ? [el("p", { class: "why" }, "These bytes are no text; each is shown escaped.")] : []),
        ...(found.headers.length ? [table(["header", "value"], found.headers.map((each) => [each.name, each.value]))] : []),
        el("p", {}, el("button", { class: "strong", id: "redrive", on: { click: () => redrive(at) } }, "Send it back")), el("p", { id: "redriven", role: "status" }));
      place.querySelector("#redrive").focus();
    } catch (error) { place.replaceChildren(el("p", { class: "away" }, error.message)); }
  }

  async function redrive(at) {
    const place = byId("redriven");
    try {
      const { sent } = await call("/v1/operator/dead-letters/redrive", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ at: [at] }) });
      byId("redrive").disabled = true;
      place.replaceChildren(`Sent ${sent} back. If the cause is still there it comes again, with one attempt more.`);
    } catch (error) { place.replaceChildren(el("span", { class: "away" }, error.message)); }
  }

  return { refresh };
}
