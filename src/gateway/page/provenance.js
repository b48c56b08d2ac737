// On whose authority a device holds each of its scopes: a picture that is read from the device to where authority begins, and the
// same in words.

import { el, fingerprint, said } from "./text.js";

export const TITLE = "Provenance";

const [BOX, GAP, ROW, PAD] = [190, 40, 64, 10];
const ROOTS = { owner: "the owner of the gateway's host", policy: "the first policy", import: "an import" };

export function open(place, page) {
  const id = location.hash.split("/")[1];
  const pick = el("select", { id: "device", onchange: () => (location.hash = `#provenance/${pick.value}`) });
  const shown = el("div");
  place.append(el("h2", {}, "Who gave it that?"), el("label", {}, "Device ", pick), shown);
  const read = async () => {
    const { paired } = await page.call("device.pair.list");
    pick.replaceChildren(...paired.map(({ deviceId, operatorLabel, displayName }) =>
      el("option", { value: deviceId, selected: deviceId === id }, said(operatorLabel ?? displayName ?? "unnamed", 40).textContent, ` ${deviceId.slice(0, 8)}`)));
    const deviceId = id ?? paired[0]?.deviceId;
    if (!deviceId) return shown.replaceChildren("No device is paired.");
    const { holds } = await page.call("audit.warrants", { deviceId });
    shown.replaceChildren(...(holds.length ? holds : [undefined]).map((held) => (held ? chain(held) : el("p", {}, "It holds nothing."))));
  };
  read().catch((error) => shown.replaceChildren(el("p.bad", {}, error.message)));
  return {};
}

/** The acts from the one that gave it upwards. */
function acts(warrant) {
  const found = [];
  for (let act = warrant; act; act = act.authority) found.push(act);
  return found;
}

function chain({ role, scope, warrant }) {
  const all = acts(warrant);
  const what = `${scope ?? "the role"} as ${role}`;
  const boxes = [
    { head: scope?.replace(/^operator\./, "") ?? role, foot: `as ${role}` },
    ...all.map((act) => ({ head: act.act, foot: `seq ${act.seq}`, title: act.message })),
    { head: warrant?.root ? ROOTS[warrant.root] : "not on record here", foot: "", root: true },
  ];
  const width = boxes.length * (BOX + GAP) - GAP;
  const drawn = boxes.map(({ head, foot, title, root }, i) => {
    const x = i * (BOX + GAP);
    return el("g", {},
      title && el("title", {}, title),
      i > 0 && el("line.edge", { x1: x - GAP, x2: x, y1: ROW / 2, y2: ROW / 2 }),
      el(root ? "rect.node.root" : "rect.node", { x, y: 1, width: BOX, height: ROW - 2, rx: 8 }),
      el("text", { x: x + PAD, y: foot ? 27 : 38 }, head), foot && el("text", { x: x + PAD, y: 46 }, foot));
  });
  return el("section.card", { "aria-label": what },
    el("h3", {}, what),
    el("div.wide", { tabIndex: 0, role: "group", "aria-label": `Picture: ${what}` },
      el("svg", { viewBox: `0 0 ${width} ${ROW}`, width, role: "img", "aria-label": `${what}, through ${all.length} acts, back to ${boxes.at(-1).head}` }, drawn)),
    el("ol", {}, all.map((act) => el("li", {}, said(act.message, 600)))));
}
