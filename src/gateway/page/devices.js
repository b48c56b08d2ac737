// Who wants in, and who is in. A row never moves under the pointer, and a button that decides is dead for half a second after
// what it decides on changed: what is clicked is what was read.

import { Rows } from "./rows.js";
import { ago, beside, el, facts, fingerprint, said, scopes } from "./text.js";

export const TITLE = "Devices";

/** How often times are told anew, in milliseconds, and how many devices are shown until more are asked for. */
const [EVERY_MS, AT_ONCE] = [15_000, 20];
const REASONS = {
  "not-paired": "is not paired",
  "metadata-upgrade": "is on another platform than before",
  "role-upgrade": "asks for another role",
  "scope-upgrade": "asks for more than it holds",
};

export function open(place, page) {
  const waiting = el("div", { "aria-live": "polite" });
  const paired = el("div");
  const state = el("p.why", { role: "status" });
  const words = el("input", { type: "search", id: "words", placeholder: "name, id, client, scope" });
  const more = el("button", { type: "button", hidden: true });
  place.append(
    el("h2", {}, "Waiting for an answer"), waiting, state,
    el("h2", {}, "Paired"), el("label", {}, "Filter ", words), paired, more);
  const requests = new Rows(waiting, (request) => request.requestId, (request) => requestCard(request, page));
  const devices = new Rows(paired, (device) => device.deviceId, (device) => deviceCard(device, page));
  let [list, shown, last] = [{ pending: [], paired: [] }, AT_ONCE, 0];

  function draw() {
    const word = words.value.toLowerCase();
    const fits = list.paired.filter((device) => !word || JSON.stringify(device).toLowerCase().includes(word));
    // Oldest first, so that one that comes takes nobody's place.
    requests.show([...list.pending].reverse());
    devices.show(fits.slice(0, shown));
    more.hidden = fits.length <= shown;
    more.replaceChildren(`Show ${fits.length - shown} more`);
    state.replaceChildren(list.pending.length ? "" : "Nobody waits.");
    document.title = `${list.pending.length ? `(${list.pending.length}) ` : ""}${TITLE} – OpenClaw pairing`;
  }

  async function changed() {
    const mine = ++last;
    try {
      const read = await page.call("device.pair.list");
      if (mine !== last) return;
      list = read;
      draw();
    } catch (error) {
      if (mine === last) state.replaceChildren(page.trouble(error));
    }
  }

  words.addEventListener("input", draw);
  more.addEventListener("click", () => {
    shown = Infinity;
    draw();
  });
  changed();
  const timer = setInterval(changed, EVERY_MS);
  return {
    changed,
    pushed: (event) => event.startsWith("device.pair.") && changed(),
    close() {
      last = -1;
      clearInterval(timer);
    },
  };
}

/** A button that decides; without the scope for it, it says so. */
function decides(page, scope, text, kind, onclick) {
  const may = page.may(scope);
  return el(`button.decides${kind ? `.${kind}` : ""}`, { type: "button", disabled: !may, title: may ? "" : `needs ${scope}`, onclick }, text);
}

const lacks = (page, scope) => !page.may(scope) && el("p.why", {}, `This browser lacks ${scope}, so it decides nothing here.`);

function requestCard(request, page) {
  const { requestId, deviceId, role, missingScopes = [], approvedScopes = [] } = request;
  const asks = scopes(request.scopes ?? [], missingScopes);
  const asked = el("span");
  const does = (method, done) => () => page.call(method, { requestId }).then(() => done);
  const act = (text, kind, ...asks) => decides(page, "operator.pairing", text, kind, () => page.ask(...asks));
  const node = el("article.card.waits", { "aria-label": `Request ${requestId}` },
    el("h3", {}, fingerprint(deviceId), ` ${REASONS[request.reason] ?? ""} (${request.reason})`),
    beside(["Asks for", asks], ["Holds", scopes(approvedScopes)]),
    facts([
      ["Request", el("code", {}, requestId)],
      ["Asked", asked],
      ["Calls itself", said(request.displayName) ?? "nothing", " on ", said(request.platform) ?? "an unknown platform"],
      ["Client", `${request.clientId} (${request.clientMode}) as ${role}`],
      ["From", request.remoteIp ?? "this host"],
      request.platformChange && ["Platform", said(request.platformChange.from), " → ", said(request.platformChange.to)],
      request.commands?.length && ["Commands", said(request.commands.join(", "), 600)],
      request.withheldCommands?.length && ["Withheld", said(request.withheldCommands.join(", "), 600)],
    ]),
    el("div.acts", {},
      act("Approve", "first", "Approve this request?", [
        el("p", {}, "The device ", fingerprint(deviceId), `, from ${request.remoteIp ?? "this host"}, gets as ${role}:`), asks.cloneNode(true),
        el("p.why", {}, `Granted is request ${requestId} as it stands here. If the device asks for anything else meanwhile, nothing is.`),
      ], "Approve", does("device.pair.approve", "Approved.")),
      act("Reject", "takes", "Reject this request?", [
        el("p", {}, "The device ", fingerprint(deviceId), " gets nothing. It may ask again."),
      ], "Reject", does("device.pair.reject", "Rejected."), true)),
    lacks(page, "operator.pairing"));
  return {
    node,
    refresh: ({ ts, attempts, expiresAtMs }) =>
      asked.replaceChildren(ago(ts, page.now()), ` · ${attempts} ${attempts === 1 ? "attempt" : "attempts"} · expires `, ago(expiresAtMs, page.now())),
  };
}

function deviceCard(device, page) {
  const { deviceId, operatorLabel, displayName, tokens = [] } = device;
  const own = deviceId === page.device;
  const seen = el("span");
  const act = (text, kind, title, what, method, params, after) =>
    decides(page, "operator.pairing", text, kind, () => page.ask(title, what, text, async () => {
      const also = what.find?.((part) => part.control)?.control;
      return after?.(await page.call(method, { deviceId, ...params, ...(also?.checked && { withApproved: true }) }));
    }, kind === "takes"));
  const rename = () => {
    const field = el("input", { id: "label", maxLength: 64, required: true, value: operatorLabel ?? "" });
    page.ask("Name this device", [
      el("p", {}, "The device ", fingerprint(deviceId), " is called so in every list. Nothing is chosen or allowed by the name."),
      el("label", {}, "Name ", field),
    ], "Rename", () => page.call("device.pair.rename", { deviceId, label: field.value }).then(({ label }) => `It is called ${label} now.`));
  };
  const itself = own ? " This is the browser that you look at." : "";
  const asRole = ({ role, revokedAtMs, scopes: carried }) => [
    `As ${role}`,
    revokedAtMs ? ["revoked ", ago(revokedAtMs, page.now())] : ["token carries ", scopes(carried ?? [])],
    !revokedAtMs && el("div.acts", {},
      act(`Rotate ${role} token`, "", `Rotate its ${role} token?`, [
        el("p", {}, `Its token is good no longer and its connections as ${role} close. It comes back with the gateway's shared secret, `,
          "and gets the new token then; what it may do stays.", itself),
      ], "device.token.rotate", { role }, ({ token }) => own && token ? page.keep(token).then(() => "Rotated.") : "Rotated."),
      act(`Revoke ${role}`, "takes", `Revoke its role ${role}?`, [
        el("p", {}, `Its connections as ${role} close at once, and it holds nothing of the role until somebody approves it anew.`, itself),
        also("withdraw too what it approved for others"),
      ], "device.token.revoke", { role }, ({ approved = [] }) => `Revoked${approved.length ? `, and ${approved.length} that it approved` : ""}.`)),
  ];
  const node = el("article.card", { "aria-label": `Device ${said(operatorLabel ?? displayName)?.textContent ?? ""} ${deviceId.slice(0, 8)}` },
    el("h3", {}, said(operatorLabel ?? displayName) ?? "unnamed", " ", fingerprint(deviceId), own && " (this browser)"),
    facts([
      operatorLabel && ["Calls itself", said(displayName) ?? "nothing"],
      ["Client", `${device.clientId} (${device.clientMode}) on `, said(device.platform) ?? "an unknown platform"],
      ["Holds", scopes(device.scopes ?? [])],
      ["Approved", ago(device.approvedAtMs, page.now())],
      ["From", device.remoteIp ?? "this host"],
      ["Last seen", seen],
      ...tokens.map(asRole),
    ]),
    el("div.acts", {},
      el("a", { href: `#provenance/${deviceId}` }, "Who gave it that?"),
      el("a", { href: `#journal/${deviceId}` }, "What did it do?"),
      decides(page, "operator.pairing", "Rename", "", rename),
      act("Remove", "takes", "Remove this device?", [
        el("p", {}, "The device ", fingerprint(deviceId), " loses all that it holds, its requests and connections end at once, ",
          "and it is let in again only if somebody approves it.", itself),
        also("remove too those that it approved"),
      ], "device.pair.remove", {}, ({ approved = [] }) => `Removed${approved.length ? `, and ${approved.length} that it approved` : ""}.`)),
    lacks(page, "operator.pairing"));
  node.dataset.device = deviceId;
  return {
    node,
    refresh: ({ connected, lastSeenAtMs }) => seen.replaceChildren(connected ? "connected now" : lastSeenAtMs ? ago(lastSeenAtMs, page.now()) : "never"),
  };
}

/** A box to tick in a question; `control` is the box. */
function also(text) {
  const control = el("input", { type: "checkbox" });
  return el("label", {}, control, ` and ${text}`);
}
