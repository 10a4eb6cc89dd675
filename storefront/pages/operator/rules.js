// The merchandiser's rules: listed, written, tried on the last slates, saved, deleted.

import { byId, el } from "../dom.js";
import { table, whole } from "./words.js";

const FIELDS = "item_id, title, description, category, brand, group, attributes, price, stock, age_days, available";
const none = (value) => (value === "" ? undefined : value);
const moment = (text) => (text ? Date.parse(`${text}Z`) : undefined);
const written = (ms) => (ms === undefined ? "" : new Date(ms).toISOString().slice(0, 16));
const when = (rule) => [rule.valid_from_ms !== undefined && `from ${written(rule.valid_from_ms)}`, rule.valid_to_ms !== undefined && `to ${written(rule.valid_to_ms)}`].filter(Boolean).join(" ");
const much = (rule) => (rule.factor !== undefined ? ` ×${rule.factor}` : rule.place !== undefined ? ` at ${rule.place}` : "");

function field(name, words, node) { node.id = `rule-${name}`; node.setAttribute("name", name); return el("label", {}, `${words} `, node); }

/** `call`: one call of the API with the operator's key. Fills `#rules`; returns what refreshes the list. */
export function startRules(call) {
  const list = el("div", { id: "rules-list" }), said = el("div", { id: "rules-said", "aria-live": "polite" });
  const form = el("form", { id: "rule", class: "fields" },
    field("rule_id", "Id", el("input", { required: "", maxlength: "64", autocomplete: "off" })),
    field("action", "Does", el("select", {}, ...["boost", "bury", "pin", "hide"].map((each) => el("option", {}, each)))),
    field("when", "Which items", el("textarea", { rows: "2", required: "", maxlength: "2000", spellcheck: "false", placeholder: "'Dresses' in category && price < 50" })),
    field("factor", "Factor (boost above 1, bury below)", el("input", { type: "number", step: "any", min: "0" })),
    field("place", "Place (pin)", el("input", { type: "number", min: "1", max: "100" })),
    field("surfaces", "Surfaces (none: all)", el("input", { placeholder: "home, cart", autocomplete: "off" })),
    field("from", "From (UTC)", el("input", { type: "datetime-local" })), field("to", "To (UTC)", el("input", { type: "datetime-local" })),
    field("note", "Note", el("input", { maxlength: "1000", autocomplete: "off" })),
    el("button", { type: "submit", id: "rule-try" }, "Dry run"), el("button", { type: "button", class: "strong", id: "rule-save", on: { click: save } }, "Save"));
  form.addEventListener("submit", (event) => { event.preventDefault(); dryRun(); });
  byId("rules").replaceChildren(list, form, el("p", { class: "why" }, `A CEL expression over ${FIELDS}. Hide wins over pin, pin over boost and bury. A dry run saves nothing.`), said);

  const value = (name) => byId(`rule-${name}`).value.trim();
  function rule() {
    const action = value("action"), number = (name) => (value(name) === "" ? undefined : Number(value(name)));
    const surfaces = value("surfaces").split(",").map((each) => each.trim()).filter(Boolean);
    return {
      rule_id: value("rule_id"), action, when: value("when"), factor: action === "boost" || action === "bury" ? number("factor") : undefined,
      place: action === "pin" ? number("place") : undefined, surfaces: surfaces.length ? surfaces : undefined,
      valid_from_ms: moment(value("from")), valid_to_ms: moment(value("to")), note: none(value("note")),
    };
  }

  function edit(known) {
    const into = { ...known, surfaces: (known.surfaces ?? []).join(", "), from: written(known.valid_from_ms), to: written(known.valid_to_ms) };
    for (const node of form.elements) if (node.name) node.value = into[node.name] ?? "";
    byId("rule-when").focus();
  }

  const send = (path, method, body) => call(path, { method, headers: { "Content-Type": "application/json" }, body: body && JSON.stringify(body) });
  const refused = (error) => said.replaceChildren(el("p", { class: "away" }, error.message));

  async function dryRun() {
    said.replaceChildren("Trying it on the last slates…");
    try { tried(await send("/v1/rules/dry-run", "POST", rule())); } catch (error) { refused(error); }
  }

  function tried(found) {
    const slate = (slots) => (slots.length ? el("ol", {}, ...slots.map((slot) => el("li", {}, slot.title || slot.item_id, slot.rules ? el("span", { class: "why" }, ` ${slot.rules.join(", ")}`) : ""))) : "nothing");
    said.replaceChildren(
      ...found.warnings.map((each) => el("p", { class: "away" }, `Mind: ${each}.`)),
      el("p", { id: "rule-changes" }, `${whole(found.changed)} of ${whole(found.slates)} slates change: ${whole(found.moved_in)} items come in, ${whole(found.moved_out)} go out, ${whole(found.moved_up)} move up, ${whole(found.moved_down)} down. It means ${whole(found.matches)} items.`),
      ...found.examples.slice(0, 2).map((each) => table([`${each.user_id}, ${each.surface}: before`, "after"], [[slate(each.before), slate(each.after)]])));
  }

  async function save() {
    if (!form.reportValidity()) return;
    try {
      const body = rule();
      await send(`/v1/rules/${encodeURIComponent(body.rule_id)}`, "PUT", body);
      said.replaceChildren(`${body.rule_id} is saved; it is in force within two seconds.`);
      setTimeout(refresh, 1000);
    } catch (error) { refused(error); }
  }

  async function remove(rule_id) {
    try {
      await send(`/v1/rules/${encodeURIComponent(rule_id)}`, "DELETE");
      said.replaceChildren(`${rule_id} is deleted.`);
      setTimeout(refresh, 1000);
    } catch (error) { refused(error); }
  }

  function line({ rule: each, state, matches, fails }) {
    return [each.rule_id, `${each.action}${much(each)}`, each.when, (each.surfaces ?? ["all"]).join(", "), `${state} ${when(each)}`, `${whole(matches)}${fails ? `, fails for ${whole(fails)}` : ""}`,
      el("span", {}, button("edit", each.rule_id, () => edit(each)), " ", button("delete", each.rule_id, () => remove(each.rule_id)))];
  }

  function button(word, rule_id, click) { return el("button", { type: "button", "aria-label": `${word} ${rule_id}`, "data-rule": `${word} ${rule_id}`, on: { click } }, word); }

  async function refresh() {
    try {
      const { rules, refused: wrong } = await call("/v1/rules");
      const lines = [...rules.map(line), ...wrong.map((each) => [each.rule_id, "refused", each.why, "", "", "", button("delete", each.rule_id, () => remove(each.rule_id))])];
      const held = document.activeElement?.dataset?.rule;
      const heads = ["rule", "does", "which items", "surfaces", "in force", "items", el("span", { class: "hidden" }, "change")];
      list.replaceChildren(lines.length ? table(heads, lines) : el("p", {}, "No rules yet."));
      if (held) list.querySelector(`[data-rule="${CSS.escape(held)}"]`)?.focus();
    } catch (error) { list.replaceChildren(el("p", { class: "away" }, error.message)); }
  }

  return { refresh };
}
