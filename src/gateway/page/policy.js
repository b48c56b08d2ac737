// The policy in force; another one checked, and applied where it only tightens. What it would admit is the owner's to say.

import { at, command, el } from "./text.js";

export const TITLE = "Policy";

export function open(place, page) {
  const text = el("textarea", { id: "policy", spellcheck: false, "aria-label": "Policy text" });
  const told = el("div", { role: "status" });
  const about = el("p.why");
  const apply = el("button.first", { type: "button", disabled: true }, "Apply");
  const check = el("button", { type: "button" }, "Check");
  place.append(el("h2", {}, "Policy"), about, text, el("div.acts", {}, check, apply), told);
  let digest;

  const read = async () => {
    const shown = await page.call("policy.show");
    text.value = shown.text;
    about.replaceChildren(shown.applied ? `In force since seq ${shown.applied.seq}, by ${shown.applied.by}, ` : "In force since the journal began. ", shown.applied ? at(shown.applied.atMs) : "");
    apply.disabled = true;
    told.replaceChildren();
  };
  check.addEventListener("click", async () => {
    apply.disabled = true;
    try {
      const found = await page.call("policy.check", { text: text.value });
      digest = found.digest;
      const loosens = found.looser ?? [];
      told.replaceChildren(
        ...(found.warnings ?? []).map((warning) => el("p", {}, String(warning))),
        loosens.length
          ? el("p", {}, `This lets in what is not let in now (${loosens.join(", ")}), so only the owner applies it: save it as policy.json5 on the gateway's host, and `, command(`openclaw policy apply policy.json5 --digest ${digest}`))
          : el("p", {}, "It is sound, and lets in nothing new."));
      apply.disabled = loosens.length > 0;
    } catch (error) {
      told.replaceChildren(el("p.bad", {}, error.message));
    }
  });
  text.addEventListener("input", () => (apply.disabled = true));
  apply.addEventListener("click", () => page.ask("Put this policy in force?", [el("p", {}, "From now on every connection is decided by it. What was granted stays granted.")], "Apply", async () => {
    await page.call("policy.apply", { text: text.value, digest });
    await read();
  }));
  read().catch((error) => told.replaceChildren(el("p.bad", {}, error.message)));
  return {};
}
