// Whether the gateway records what it does, and what somebody has to see.

import { ago, at, command, el, facts, fingerprint, happened, said, sentence, unseen as told } from "./text.js";

export const TITLE = "Health";

/** How often it is looked at, and how long it may take to read every byte, in milliseconds. */
const [EVERY_MS, VERIFY_MS] = [5_000, 600_000];

export function open(place, page) {
  const about = el("div");
  const verdict = el("p", { role: "status" });
  const verify = el("button", { type: "button" }, "Verify every byte");
  const others = el("div");
  place.append(el("h2", {}, "Health of the journal"), about, el("div.acts", {}, verify), verdict, others);
  let [shown, last] = ["", 0];

  async function changed() {
    const mine = ++last;
    try {
      const status = await page.call("status");
      const acts = status.ownerActs?.unseen > 0 ? await page.call("owner.acts") : undefined;
      if (mine === last) draw(status, acts);
    } catch (error) {
      if (mine === last) about.replaceChildren(page.trouble(error));
    }
  }

  function draw({ version, uptimeMs, journal, devices, connections, conditions = [] }, acts) {
    const { lastSync, head, records } = journal;
    about.replaceChildren(facts([
      ["Records", records ? "yes" : el("span.bad", {}, "no: nobody is let in")],
      ["Last record", `seq ${journal.seq}`],
      lastSync && ["Head", el("code", {}, `${lastSync.seq}:${head}`)],
      ["Last sync", ...(lastSync ? [`seq ${lastSync.seq}, `, ago(lastSync.atMs, page.now())] : ["none since the start"])],
      ["State", el("code", {}, journal.digest)],
      ["Journal", el("code", {}, journal.id ?? "none")],
      ["In", el("code", {}, journal.path)],
      ["Devices", `${devices.paired} paired, ${devices.pending} waiting, ${connections} connected`],
      ["This browser", fingerprint(page.device)],
      ["Gateway", `${version}, up since `, at(page.now() - uptimeMs)],
    ]));
    const text = JSON.stringify([conditions, acts]);
    if (text === shown) return;
    shown = text;
    others.replaceChildren(conditions.length ? found(conditions) : "", acts ? unseenActs(acts, page) : "");
  }

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

const found = (conditions) => el("section.card", {},
  el("h3", {}, "Not in order"),
  el("ul", {}, conditions.map(({ ts, message }) => el("li", {}, at(ts), " ", sentence(message)))));

/** Who did it, as far as the system told. */
const by = ({ uid, pid, program, terminal }) => el("div.why", {}, `by uid ${uid}, `, said(program), ` (pid ${pid}), `, said(terminal) ?? "no terminal");

function unseenActs({ unseen, acts }, page) {
  const see = async () => {
    await page.call("owner.seen", { through: acts.at(-1).seq });
    await page.look();
    return "Seen.";
  };
  const ask = () => page.ask("Say that these were seen?", [el("p", {}, "That you saw them is on record then, and nobody is told of them any more.")], "Seen", see);
  return el("section.card", {},
    el("h3", {}, told(unseen)),
    unseen > acts.length && el("p.why", {}, `${unseen - acts.length} before these: in the journal.`),
    el("ul", {}, acts.map((act) => happened(act.seq, act.ts, act.message, by(act)))),
    el("div.acts", {}, el("button", { type: "button", onclick: ask }, "I saw them")));
}

/** What the journal is worth, in words. */
function judged({ verdict, seq, begins, records, witnessed, what, segment, offset, wrongCheckpoint }) {
  if (verdict === "sound" && !wrongCheckpoint) {
    return [`Sound: ${records} records, seq ${begins} to ${seq}. Every checksum, every seq and every link of the hash chain is right`,
      witnessed ? `, and up to seq ${witnessed} nothing is missing.` : "."];
  }
  const where = segment && offset ? ` at offset ${offset} of ${segment}` : "";
  const why = wrongCheckpoint ? `The checkpoint at seq ${wrongCheckpoint} is not what the records lead to.` : `Not sound: ${verdict}${what ? `, ${what}` : ""}${where}.`;
  return [el("span.bad", {}, why), " What to do is told on the gateway's host: ", command("openclaw doctor")];
}
