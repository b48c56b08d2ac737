// What stands in the way of being let in, and what to do about it.

import { Device } from "./device.js";
import { command, el, fingerprint, scopes } from "./text.js";

/** Shows why the gateway refused this browser. */
export function gate(place, page, link, refusal) {
  const { code } = refusal.details;
  place.replaceChildren(
    code === "PAIRING_REQUIRED" ? waits(refusal)
    : refusal.code === "TAKEN_AWAY" ? takenAway(refusal, link)
    : asks(refusal, link),
  );
  return {};
}

function waits({ message, details }) {
  return el("section.card.waits", { "aria-labelledby": "gate" },
    el("h2", { id: "gate" }, "This browser waits for approval"),
    el("dl", {},
      el("dt", {}, "Request"), el("dd", {}, el("code", {}, details.requestId)),
      el("dt", {}, "This browser"), el("dd", {}, fingerprint(details.deviceId ?? "")),
      el("dt", {}, "Asks for"), el("dd", {}, scopes(details.requestedScopes ?? [], details.missingScopes ?? [])),
      el("dt", {}, "Holds"), el("dd", {}, scopes(details.approvedScopes ?? [])),
      el("dt", {}, "Approve on the gateway's host"), el("dd", {}, command(`openclaw devices approve ${details.requestId}`))),
    el("p.why", {}, message),
    el("p", {}, "Whoever may approve can do it in another browser as well. This page goes on by itself then."));
}

function takenAway({ message }, link) {
  return el("section.card", { "aria-labelledby": "gate" },
    el("h2", { id: "gate" }, "This browser was sent away"),
    el("p.bad", { role: "alert" }, message),
    el("div.acts", {}, el("button.first", { type: "button", onclick: () => link.open() }, "Ask again")));
}

function asks({ message, details }, link) {
  const field = el("input", { type: "password", autocomplete: "off", required: true, id: "secret" });
  const kind = el("select", { id: "kind" }, el("option", { value: "token" }, "token"), el("option", { value: "password" }, "password"));
  const forget = async () => {
    await Device.forget();
    link.open();
  };
  const form = el("form", {
    onsubmit: (event) => {
      event.preventDefault();
      link.show({ [kind.value]: field.value });
    },
  },
    el("label", {}, "The gateway's ", kind, " ", field),
    el("div.acts", {}, el("button.first", { type: "submit" }, "Connect"), details.code === "DEVICE_SUCCEEDED" && el("button", { type: "button", onclick: forget }, "Begin as a new device")));
  return el("section.card", { "aria-labelledby": "gate" },
    el("h2", { id: "gate" }, "Connect this browser"),
    el("p.bad", { role: "alert" }, message),
    form,
    el("p", {}, "Or let the gateway's host open this page, without copying anything: ", command("openclaw dashboard")));
}
