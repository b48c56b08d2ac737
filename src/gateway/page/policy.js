// The policy in force; another one checked, tried on history, and applied where it only tightens. What it would let in beyond what
// is let in now is the owner's to say, on the gateway's host.

import { at, command, el, facts, said, sentence } from "./text.js";

export const TITLE = "Policy";

/** How long history may take to be decided again, in milliseconds. */
const TRY_MS = 120_000;
const FILE = "policy.json5";

export function open(place, page) {
  const text = el("textarea", { id: "policy", spellcheck: false, "aria-label": "Policy text" });
  const found = el("div", { role: "status" });
  const about = el("div");
  const failed = (error) => found.replaceChildren(el("p.bad", {}, sentence(error.message)));
  const button = (name, kind, does) => el(`button${kind}`, { type: "button", onclick: () => does().catch(failed) }, name);
  const apply = button("Apply", ".first", ask);
  place.append(el("h2", {}, TITLE), about, text, el("div.acts", {}, button("Check", "", check), button("Try on history", "", tryIt), apply), found);
  let [checked, known] = [undefined, []];
  const forget = () => {
    checked = undefined;
    apply.disabled = true;
    found.replaceChildren();
  };

  async function read() {
    const { text: inForce, applied, withoutPerson, resting, warnings } = await page.call("policy.show");
    text.value = inForce;
    known = warnings;
    forget();
    about.replaceChildren(
      el("p", {}, ...(applied ? [`In force since seq ${applied.seq}, by `, sentence(applied.by), ", ", at(applied.atMs), "."] : ["In force since the journal began."])),
      list("Whom it lets in without asking a person", withoutPerson.map(({ message }) => message)),
      resting.length ? el("section", {}, el("h3", {}, "At rest"), el("ul", {}, resting.map(rest))) : "");
  }

  const rest = ({ rule, message }) => el("li", {}, sentence(message), " ", el("button.quiet", {
    type: "button",
    onclick: () => page.ask(`Let ${rule} work again?`, [el("p", {}, "It lets in without a person again whom it let in before somebody took that back.")], "Arm", async () => {
      await page.call("policy.arm", { rule });
      await read();
    }),
  }, `Arm ${rule}`));

  async function check() {
    forget();
    const answer = await page.call("policy.check", { text: text.value });
    checked = answer.digest;
    const { changes = [], looser = [], warnings, digest } = answer;
    apply.disabled = looser.length > 0 || changes.length === 0;
    found.replaceChildren(
      changes.length ? table(changes) : "", list("New with it", warnings.filter((warning) => !known.includes(warning))),
      looser.length ? owners(looser, digest) : el("p", {}, changes.length ? "It lets in nothing that is not let in now." : "It decides as the one in force does."));
  }

  /** What only the owner does: the file, and the command. */
  function owners(looser, digest) {
    const file = URL.createObjectURL(new Blob([text.value], { type: "text/plain" }));
    return el("div", {},
      el("p", {}, `In ${looser.join(", ")} it lets in what is not let in now, so only the owner applies it: `,
        el("a", { href: file, download: FILE }, `save it as ${FILE}`), " on the gateway's host, and there:"),
      command(`openclaw policy apply ${FILE} --digest ${digest}`));
  }

  async function tryIt() {
    found.replaceChildren("Deciding all of it again…");
    const { from, until, decided, uncertain, differing, differences, left, byDevice } = await page.call("policy.simulate", { text: text.value }, TRY_MS);
    found.replaceChildren(
      facts([
        ["Decided again", `${decided}, seq ${from} to ${until}`],
        uncertain > 0 && ["Not told of", `${uncertain} that were refused and only counted, and are like none on record`],
        ["Otherwise", differing ? `${differing}, of ${byDevice.length} ${byDevice.length === 1 ? "device" : "devices"}` : "nothing"],
      ]),
      el("ol.rows", { "aria-label": "What would be decided otherwise, newest first" }, differences.map(({ seq, atMs, message }) =>
        el("li", {}, el("span.seq", {}, String(seq)), at(atMs), el("span"), sentence(message)))),
      left > 0 ? el("p.why", {}, `And ${left} more: openclaw policy simulate ${FILE}`) : "");
  }

  async function ask() {
    const digest = checked;
    page.ask("Put this policy in force?", [el("p", {}, "From now on every connection is decided by it. What was granted stays granted.")], "Apply", async () => {
      const { appliedSeq } = await page.call("policy.apply", { text: text.value, digest });
      await read();
      return appliedSeq ? `In force since seq ${appliedSeq}.` : "It was in force already.";
    });
  }

  text.addEventListener("input", forget);
  read().catch((error) => about.replaceChildren(page.trouble(error)));
  return {};
}

const list = (title, messages) =>
  messages.length ? el("section", {}, el("h3", {}, title), el("ul", {}, messages.map((message) => el("li", {}, sentence(message))))) : "";

function table(changes) {
  const cell = (value) => el("td", {}, value === null ? "–" : said(typeof value === "string" ? value : JSON.stringify(value), 300));
  return el("div.wide", { tabIndex: 0, role: "group", "aria-label": "Changes" },
    el("table", {},
      el("thead", {}, el("tr", {}, ["Key", "From", "To", "Is"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, changes.map(({ key, from, to, is }) => el("tr", {}, [key, from, to, is].map(cell))))));
}
