// Whether the gateway records what it does, and what somebody has to see.

import { ago, at, command, el, facts, fingerprint, sentence, unseen as told } from "./text.js";

export const TITLE = "Health";

/** How often it is looked at, and how long it may take to read every byte, in milliseconds. */
const [EVERY_MS, VERIFY_MS] = [5_000, 600_000];

export function open(place, page) {
  const about = el("div");
  const verdict = el("p", { role: "status" });
  const verify = el("button", { type: "button" }, "Verify every byte");
  const others = el("div");
  place.append(el("h2", {}, "Health of the journal"), about, el("div.acts", {}, verify), verdict, others);
  let [acts, last] = ["", 0];

  async function changed() {
    const mine = ++last;
    try {
      const status = await page.call("status");
      if (mine === last) draw(status);
    } catch (error) {
      if (mine === last) about.replaceChildren(page.trouble(error));
    }
  }

  function draw({ version, uptimeMs, journal, devices, connections, conditions = [], ownerActs }) {
    const { lastSync, head, records } = journal;
    about.replaceChildren(facts([
      ["Records", records === false ? el("span.bad", {}, "no: nobody is let in") : "yes"],
      ["Last record", `seq ${journal.seq}`],
      lastSync && head && ["Head", el("code", {}, `${lastSync.seq}:${head}`)],
      ["Last sync", ...(lastSync ? [`seq ${lastSync.seq}, `, ago(lastSync.atMs, page.now())] : ["none since the start"])],
      ["State", el("code", {}, journal.digest)],
      ["Journal", el("code", {}, journal.id ?? "none")],
      ["In", el("code", {}, journal.path)],
      ["Devices", `${devices.paired} paired, ${devices.pending} waiting, ${connections} connected`],
      ["This browser", page.device && fingerprint(page.device)],
      ["Gateway", `${version}, up since `, at(page.now() - uptimeMs)],
    ]));
    const text = JSON.stringify([conditions, ownerActs]);
    if (text === acts) return;
    acts = text;
    others.replaceChildren(
      conditions.length ? el("section.card", {}, el("h3", {}, "Not in order"), el("ul", {}, conditions.map(({ ts, message }) => el("li", {}, at(ts), " ", sentence(message))))) : "",
      ownerActs?.unseen > 0 ? seen(ownerActs) : "");
  }

  const seen = ({ unseen, acts }) => el("section.card", {},
    el("h3", {}, told(unseen)),
    el("ul", {}, acts.map(({ seq, ts, message }) => el("li", {}, at(ts), " ", el("a", { href: `#journal/from/${seq}` }, `seq ${seq}`), " ", sentence(message)))),
    el("div.acts", {}, el("button", { type: "button", disabled: !page.may("operator.admin"), onclick: () => page.ask("Say that these were seen?", [el("p", {}, "That you saw them is on record then, and nobody else is told of them.")], "Seen", async () => {
      await page.call("owner.seen", { through: acts.reduce((most, { seq }) => Math.max(most, seq), 0) });
      await page.look();
      return "Seen.";
    }) }, "I saw them")));

  verify.addEventListener("click", async () => {
    verify.disabled = true;
    verdict.replaceChildren("Reading every byte…");
    try {
      verdict.replaceChildren(...judged(await page.call("journal.verify", {}, VERIFY_MS)));
    } catch (error) {
      verdict.replaceChildren(page.trouble(error));
    }
    verify.disabled = false;
  });
  changed();
  const timer = setInterval(changed, EVERY_MS);
  return {
    changed,
    pushed: (event) => event === "owner.acted" && changed(),
    close() {
      last = -1;
      clearInterval(timer);
    },
  };
}

/** What the journal is worth, in words. */
function judged({ verdict, seq, begins, records, witnessed, what, segment, offset, wrongCheckpoint }) {
  if (verdict === "sound" && !wrongCheckpoint) {
    return [`Sound: ${records} records, seq ${begins} to ${seq}. Every checksum, every seq and every link of the hash chain is right`,
      witnessed ? `, and up to seq ${witnessed} nothing is missing.` : "."];
  }
  const where = segment && offset ? ` at offset ${offset} of ${segment}` : "";
  return [el("span.bad", {}, wrongCheckpoint ? `The checkpoint at seq ${wrongCheckpoint} is not what the records lead to.` : `Not sound: ${verdict}${what ? `, ${what}` : ""}${where}.`),
    " What to do is told on the gateway's host: ", command("openclaw doctor")];
}
