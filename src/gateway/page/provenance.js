// On whose authority a device holds each of its scopes: a picture that is read from the device to where authority begins, and the
// same in words. What was given by the same acts is one picture.

import { el, said, sentence } from "./text.js";

export const TITLE = "Provenance";

const [BOX, GAP, ROW, PAD, LINE] = [190, 40, 76, 10, 18];
const ROOTS = { owner: ["the owner", "of the gateway's host"], policy: ["the first policy", "of this journal"], import: ["an import", "from OpenClaw"] };

export function open(place, page) {
  const id = location.hash.split("/")[1];
  const pick = el("select", { id: "device", onchange: () => (location.hash = `#provenance/${pick.value}`) });
  const shown = el("div");
  place.append(el("h2", {}, "Who gave it that?"), el("label", {}, "Device ", pick), shown);
  const changed = async () => {
    const { paired } = await page.call("device.pair.list");
    pick.replaceChildren(...paired.map(({ deviceId, operatorLabel, displayName }) =>
      el("option", { value: deviceId, selected: deviceId === id }, said(operatorLabel ?? displayName ?? "unnamed", 40).textContent, ` ${deviceId.slice(0, 8)}`)));
    const deviceId = id ?? paired[0]?.deviceId;
    if (!deviceId) return shown.replaceChildren("No device is paired.");
    const { holds } = await page.call("audit.warrants", { deviceId });
    const alike = Object.groupBy(holds, ({ role, warrant }) => `${role} ${warrant?.seq} ${warrant?.root}`);
    shown.replaceChildren(...(holds.length ? Object.values(alike).map(chain) : [el("p", {}, "It holds nothing.")]));
  };
  const read = () => changed().catch((error) => shown.replaceChildren(page.trouble(error)));
  read();
  return { changed: read, pushed: (event) => event.startsWith("device.pair.") && read() };
}

/** The acts from the one that gave it upwards. */
function acts(warrant) {
  const found = [];
  for (let act = warrant; act; act = act.authority) found.push(act);
  return found;
}

/** Who did it, in as few words as fit into a box. */
function by(actor) {
  if (!actor) return "";
  if (actor.device) return `by device ${actor.device.slice(0, 8)}…`;
  if (actor.rule) return `by rule ${actor.rule}`;
  return actor.person ? "by the owner" : "by the gateway";
}

function chain(held) {
  const { role, warrant } = held[0];
  const names = held.map(({ scope }) => scope?.replace(/^operator\./, "") ?? `the role ${role}`);
  const what = `${names.join(", ")} as ${role}`;
  const all = acts(warrant);
  const boxes = [
    { lines: [names.length > 1 ? `${names.length} scopes` : names[0], `as ${role}`] },
    ...all.map((act) => ({ lines: [act.act, by(act.actor), `seq ${act.seq}`], title: act.message })),
    { lines: ROOTS[warrant?.root] ?? ["not on record here"], root: true },
  ];
  const width = boxes.length * (BOX + GAP) - GAP;
  const drawn = boxes.map(({ lines, title, root }, i) => {
    const x = i * (BOX + GAP);
    return el("g", {},
      title && el("title", {}, title),
      i > 0 && el("path.edge", { d: `M${x} ${ROW / 2}h${-GAP}m8 -5l-8 5l8 5` }),
      el(root ? "rect.node.root" : "rect.node", { x: x + 1, y: 1, width: BOX - 2, height: ROW - 2, rx: 8 }),
      lines.map((line, n) => el("text", { x: x + PAD, y: ROW / 2 + LINE * (n - (lines.length - 1) / 2) + 4 }, line)));
  });
  return el("section.card", { "aria-label": what },
    el("h3", {}, what),
    el("div.wide", { tabIndex: 0, role: "group", "aria-label": `Picture: ${what}` },
      el("svg", { viewBox: `0 0 ${width} ${ROW}`, width, role: "img", "aria-label": `${what}, through ${all.length} acts, back to ${boxes.at(-1).lines.join(" ")}` }, drawn)),
    el("ol", {}, all.map((act) => el("li", {}, el("a", { href: `#journal/from/${act.seq}` }, `seq ${act.seq}`), " ", sentence(act.message)))));
}
