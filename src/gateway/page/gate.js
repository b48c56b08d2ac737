// What stands in the way of being let in, and what to do about it.

import { Device } from "./device.js";
import { beside, command, el, fingerprint, scopes, sentence } from "./text.js";

/** Shows why the gateway refused this browser. */
export function gate(place, link, refusal) {
  const card = refusal.details.code === "PAIRING_REQUIRED" ? waits(refusal, link)
    : refusal.code === "TAKEN_AWAY" ? takenAway(refusal, link)
    : asks(refusal, link);
  // It is asked again and again; what did not change keeps the focus.
  if (place.textContent !== card.textContent) place.replaceChildren(card);
}

function waits({ message, details }, link) {
  const { requestId, requestedScopes = [], missingScopes = [], approvedScopes = [] } = details;
  const goOn = async () => {
    await Device.narrow(approvedScopes);
    link.open();
  };
  return el("section.card.waits", { "aria-labelledby": "gate" },
    el("h2", { id: "gate" }, "This browser waits for approval"),
    el("dl", {},
      el("dt", {}, "Request"), el("dd", {}, el("code", {}, requestId)),
      el("dt", {}, "This browser"), el("dd", {}, fingerprint(link.device.id))),
    beside(["Asks for", scopes(requestedScopes, missingScopes)], ["Holds", scopes(approvedScopes)]),
    el("p", {}, "Approve it on the gateway's host:"),
    command(`openclaw devices approve ${requestId}`),
    el("p.why", {}, sentence(message)),
    el("p", {}, "Or in another browser that may approve. This page goes on by itself then."),
    approvedScopes.length > 0 && el("div.acts", {}, el("button", { type: "button", onclick: goOn }, "Go on with what it holds")));
}

function takenAway({ message }, link) {
  return el("section.card", { "aria-labelledby": "gate" },
    el("h2", { id: "gate" }, "This browser was sent away"),
    el("p.bad", { role: "alert" }, sentence(message)),
    el("p", {}, "Whoever did it, and when, is in the journal. On the gateway's host: ", command(`openclaw devices why ${link.device.id}`)),
    el("div.acts", {}, el("button.first", { type: "button", onclick: () => link.open() }, "Ask again")));
}

function asks({ message, details }, link) {
  const field = el("input", { type: "password", autocomplete: "off", required: true, id: "secret", "aria-labelledby": "secret-is kind" });
  const kind = el("select", { id: "kind", "aria-label": "Kind of secret" }, el("option", { value: "token" }, "token"), el("option", { value: "password" }, "password"));
  if (details.code?.startsWith("AUTH_PASSWORD")) kind.value = "password";
  const forget = async () => {
    await Device.forget();
    link.open();
  };
  const submit = (event) => {
    event.preventDefault();
    link.show({ [kind.value]: field.value });
  };
  return el("section.card", { "aria-labelledby": "gate" },
    el("h2", { id: "gate" }, "Connect this browser"),
    el("p.bad", { role: "alert" }, sentence(message)),
    el("form", { onsubmit: submit },
      el("p.field", {}, el("span", { id: "secret-is" }, "The gateway's "), kind, " ", field),
      el("div.acts", {},
        el("button.first", { type: "submit" }, "Connect"),
        details.code === "DEVICE_SUCCEEDED" && el("button", { type: "button", onclick: forget }, "Begin as a new device"))),
    el("p", {}, "Without copying anything, on the gateway's host: ", command("openclaw dashboard")));
}
