// Whether the gateway records what it does, and what somebody has to see.

import { at, command, el, said } from "./text.js";

export const TITLE = "Health";

export function open(place, page) {
  const told = el("div");
  place.append(el("h2", {}, "Health"), told);
  const read = async () => {
    const status = await page.call("status");
    const { journal, devices, ownerActs } = status;
    told.replaceChildren(
      el("dl", {},
        [["Version", status.version], ["Journal", journal.id], ["In", journal.path], ["Last record", `seq ${journal.seq}`], ["State", el("code", {}, journal.digest)], ["Paired", devices.paired], ["Waiting", devices.pending], ["Connections", status.connections]].map(([name, value]) => [el("dt", {}, name), el("dd", {}, value instanceof Node ? value : String(value))])),
      el("p", {}, "Every byte is checked by ", command("openclaw journal verify")),
      ownerActs?.unseen ? acts(ownerActs) : "");
  };
  const acts = ({ unseen, acts }) => el("section.card", {},
    el("h3", {}, `${unseen} acts of this host's owner that nobody said to have seen`),
    el("ul", {}, acts.map((act) => el("li", {}, at(act.ts), " ", said(act.message, 600)))),
    el("div.acts", {}, el("button", { type: "button", onclick: () => page.ask("Say that these were seen?", [], "Seen", async () => {
      await page.call("owner.seen", { through: acts.at(-1).seq });
      await read();
    }) }, "I saw them")));
  read().catch((error) => told.replaceChildren(el("p.bad", {}, error.message)));
  return { pushed: (event) => event === "owner.acted" && read() };
}
