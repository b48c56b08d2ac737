// Who wants in, and who is in. A row never moves under the pointer, and a button that decides is dead for half a second after
// what it decides on changed: what is clicked is what was read.

import { ago, command, el, fingerprint, said, scopes } from "./text.js";

export const TITLE = "Devices";

const DEAD_MS = 500;

export function open(place, page) {
  const waiting = el("div", { "aria-live": "polite" });
  const paired = el("div");
  const none = el("p.why");
  place.append(
    el("h2", {}, "Waiting for an answer"), waiting, none,
    el("h2", {}, "Paired"), paired);
  const [requests, devices] = [new Rows(waiting, "requestId"), new Rows(paired, "deviceId")];
  let last = 0;
  const changed = async () => {
    const mine = ++last;
    const list = await page.call("device.pair.list").catch((error) => error);
    if (mine !== last) return;
    if (list instanceof Error) {
      none.replaceChildren(`This cannot be shown: ${list.message}`);
      return;
    }
    requests.show([...list.pending].reverse(), (request) => requestCard(request, page));
    devices.show(list.paired, (device) => deviceCard(device, page));
    none.replaceChildren(list.pending.length ? "" : "Nobody waits.");
  };
  changed();
  const timer = setInterval(changed, 15_000);
  return { changed, close: () => clearInterval(timer), pushed: (event) => event.startsWith("device.pair.") && changed() };
}

/** Rows by key: one that is there keeps its place, new ones come last, and one that is over stays while it is pointed at. */
class Rows {
  #place;
  #key;
  #rows = new Map();

  constructor(place, key) {
    this.#place = place;
    this.#key = key;
  }

  show(entries, render) {
    const there = new Set();
    for (const entry of entries) {
      const key = entry[this.#key];
      there.add(key);
      const [row, text] = [this.#rows.get(key), JSON.stringify(entry)];
      if (row?.text === text) continue;
      const node = render(entry);
      row ? row.node.replaceWith(node) : this.#place.append(node);
      this.#rows.set(key, { node, text });
      rest(node);
    }
    for (const [key, { node }] of this.#rows) {
      if (there.has(key)) continue;
      this.#rows.delete(key);
      const buttons = node.querySelectorAll("button");
      buttons.forEach((button) => (button.disabled = true));
      node.classList.add("over");
      if (!node.matches(":hover")) node.remove();
      else node.addEventListener("pointerleave", () => node.remove(), { once: true });
    }
  }
}

function rest(node) {
  const buttons = [...node.querySelectorAll("button.decides:not(:disabled)")];
  buttons.forEach((button) => (button.disabled = true));
  setTimeout(() => buttons.forEach((button) => (button.disabled = false)), DEAD_MS);
}

/** A button that decides; without the scope for it, it says so. */
function decides(page, scope, text, kind, onclick) {
  const may = page.may(scope);
  return el(`button.decides${kind ? `.${kind}` : ""}`, { type: "button", disabled: !may, title: may ? undefined : `needs ${scope}`, onclick }, text);
}

function requestCard(request, page) {
  const { requestId, deviceId, missingScopes = [], approvedScopes = [] } = request;
  const within = page.may("operator.admin") || request.role === "operator" && missingScopes.every((scope) => page.may(scope));
  const facts = [
    ["Key", fingerprint(deviceId)],
    ["Calls itself", [said(request.displayName) ?? "nothing", " on ", said(request.platform) ?? "an unknown platform"]],
    ["Client", `${request.clientId} (${request.clientMode})`],
    ["From", request.remoteIp ?? "this host"],
    ["Role", request.role],
    ["Asks for", scopes(request.scopes ?? [], missingScopes)],
    ["Holds", scopes(approvedScopes)],
    request.platformChange && ["Platform", [said(request.platformChange.from), " → ", said(request.platformChange.to)]],
    request.commands?.length && ["Commands", request.commands.map((name) => [said(name), " "])],
    ["Asked", [ago(request.ts, page.now()), ` · ${request.attempts} attempts · expires `, ago(request.expiresAtMs, page.now())]],
  ].filter(Boolean);
  const does = (method) => () => page.call(method, { requestId });
  const title = `Request ${requestId}`;
  return el("article.card.waits", { "aria-label": title },
    el("h3", {}, title, ` · ${request.reason}`),
    el("dl", {}, facts.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    el("p.why", {}, said(request.message, 600)),
    el("div.acts", {},
      decides(page, "operator.pairing", "Approve", "first", () => page.ask("Approve this request?", [
        el("p", {}, "The device ", fingerprint(deviceId), ` gets, as ${request.role}:`), scopes(request.scopes ?? [], missingScopes),
        el("p.why", {}, `Granted is request ${requestId} as it stands here; if the device asks for anything else meanwhile, this is refused.`),
      ], "Approve", does("device.pair.approve"))),
      decides(page, "operator.pairing", "Reject", "takes", () => page.ask("Reject this request?", [
        el("p", {}, "The device ", fingerprint(deviceId), " gets nothing, and no rule pairs it by itself any more."),
      ], "Reject", does("device.pair.reject"), true))),
    !within && el("p.why", {}, "This connection does not hold all of that, so it cannot give it. On the gateway's host: ", command(`openclaw devices approve ${requestId}`)));
}

function deviceCard(device, page) {
  const { deviceId } = device;
  const own = deviceId === page.device;
  const name = device.operatorLabel ?? device.displayName;
  const label = el("h3", {}, device.operatorLabel ? said(device.operatorLabel) : said(device.displayName) ?? "unnamed", " ", fingerprint(deviceId), own && " (this browser)");
  const facts = [
    !device.operatorLabel ? undefined : ["Calls itself", said(device.displayName) ?? "nothing"],
    ["Client", `${device.clientId} (${device.clientMode}) on `, said(device.platform) ?? "an unknown platform"],
    ["Approved", [scopes(device.scopes ?? []), " ", ago(device.approvedAtMs, page.now())]],
    ["Last seen", device.connected ? "connected now" : device.lastSeenAtMs ? ago(device.lastSeenAtMs, page.now()) : "never"],
    ["From", device.remoteIp ?? "this host"],
  ].filter(Boolean);
  const act = (text, kind, title, what, method, params, done) =>
    decides(page, "operator.pairing", text, kind, () => page.ask(title, what, text, async () => {
      const result = await page.call(method, { deviceId, ...params });
      return done?.(result);
    }, kind === "takes"));
  const roles = (device.tokens ?? []).map((token) =>
    el("div", {},
      el("dl", {},
        el("dt", {}, `As ${token.role}`),
        el("dd", {}, token.revokedAtMs ? ["revoked ", ago(token.revokedAtMs, page.now())] : ["token carries ", scopes(token.scopes)])),
      !token.revokedAtMs && el("div.acts", {},
        act("Rotate token", "", `Rotate the ${token.role} token?`, [el("p", {}, "Its connections as ", token.role, " close. It comes back with the gateway's shared secret and gets the new token then; the scopes stay.")], "device.token.rotate", { role: token.role }),
        act(`Revoke ${token.role}`, "takes", `Revoke the role ${token.role}?`, [el("p", {}, "Its connections as ", token.role, " close at once, and it holds nothing of the role until somebody approves it anew.")], "device.token.revoke", { role: token.role }))));
  const rename = () => {
    const field = el("input", { id: "label", maxLength: 64, value: device.operatorLabel ?? "" });
    page.ask("Name this device", [el("p", {}, "Only operators see the name, and nothing is chosen by it."), el("label", {}, "Name ", field)], "Name", () =>
      page.call("device.pair.rename", { deviceId, label: field.value }).then(() => undefined));
  };
  return el("article.card", { "aria-label": `Device ${name ?? ""} ${deviceId.slice(0, 8)}` },
    label,
    el("dl", {}, facts.map(([key, ...value]) => [el("dt", {}, key), el("dd", {}, value)])),
    roles,
    el("div.acts", {},
      el("a", { href: `#provenance/${deviceId}` }, "Who gave it that?"),
      decides(page, "operator.pairing", "Rename", "", rename),
      act("Remove", "takes", "Remove this device?", [el("p", {}, "The device ", fingerprint(deviceId), own ? " is this browser. It" : "", " loses all that it holds, its requests and connections end at once, and it is never let in again without somebody's approval.")], "device.pair.remove", {})));
}
