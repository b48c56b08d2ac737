// The page: which view is open, what the link says, and one place where something is asked before it is done.

import { Link } from "./link.js";
import { el } from "./text.js";
import { gate } from "./gate.js";
import * as devices from "./devices.js";
import * as journal from "./journal.js";
import * as provenance from "./provenance.js";
import * as timeline from "./timeline.js";
import * as policy from "./policy.js";
import * as health from "./health.js";

const VIEWS = { devices, journal, provenance, timeline, policy, health };
const place = document.getElementById("view");
const nav = document.getElementById("views");
const state = document.getElementById("link");
const spoken = document.getElementById("said");

/** What a view works with. */
const page = {
  /** The scopes of this connection. */
  scopes: [],
  /** This browser's device. */
  device: undefined,
  call: (method, params) => link.call(method, params),
  /** The gateway's clock, in milliseconds. */
  now: () => Date.now() + page.ahead,
  /** How far it is ahead of this browser's. */
  ahead: 0,
  /** Whether this connection may do what needs `scope`. */
  may: (scope) => page.scopes.includes("operator.admin") || page.scopes.includes(scope),
  say(text) {
    spoken.replaceChildren(text);
    clearTimeout(page.saying);
    page.saying = setTimeout(() => spoken.replaceChildren(), 6_000);
  },
  /** Asks before `does` is done: `what` is told as it will be. */
  ask(title, what, button, does, takes = false) {
    const box = document.getElementById("ask");
    const problem = el("p.bad", { role: "alert" });
    const go = el(`button${takes ? ".takes" : ".first"}`, { type: "button" }, button);
    go.addEventListener("click", async () => {
      go.disabled = true;
      try {
        const done = await does(box);
        box.close();
        page.say(done ?? "Done.");
        open?.changed?.();
      } catch (error) {
        problem.replaceChildren(error.message);
        go.disabled = false;
      }
    });
    const no = el("button", { type: "button", onclick: () => box.close() }, "Cancel");
    box.replaceChildren(el("h2", { id: "ask-title" }, title), ...what, problem, el("div.acts", {}, go, no));
    box.showModal();
    no.focus();
  },
};

let open;

function show() {
  const name = location.hash.slice(1).split("/")[0] || "devices";
  const view = VIEWS[name] ?? devices;
  for (const link of nav.children) {
    link.hash === `#${name}` ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  }
  open?.close?.();
  document.title = `${view.TITLE} – OpenClaw pairing`;
  place.replaceChildren();
  open = view.open(place, page);
}

nav.replaceChildren(...Object.entries(VIEWS).map(([name, { TITLE }]) => el("a", { href: `#${name}` }, TITLE)));

const TOLD = {
  connecting: () => "Connecting",
  open: () => "Connected",
  refused: () => "Not let in",
  broken: (wait) => `Not reached; next try in ${Math.max(1, Math.round(wait / 1000))} s`,
};

const link = new Link(
  (what, detail) => {
    state.dataset.state = what;
    state.replaceChildren(TOLD[what](detail));
    if (what === "open") {
      page.scopes = detail.auth?.scopes ?? [];
      page.ahead = (detail.snapshot?.health?.ts ?? Date.now()) - Date.now();
      nav.hidden = false;
      show();
    } else if (what === "refused") {
      nav.hidden = true;
      open?.close?.();
      open = gate(place, page, link, detail);
    }
  },
  (event, payload) => open?.pushed?.(event, payload),
);

addEventListener("hashchange", () => nav.hidden || show());

/** What stands behind the `#` is shown once, and nowhere else from then on: not in the history, not in a bookmark. */
function fragment() {
  const given = new URLSearchParams(location.hash.slice(1));
  const name = ["bootstrapToken", "token", "password"].find((name) => given.get(name));
  if (!name) return undefined;
  history.replaceState(null, "", location.pathname + location.search);
  return { [name]: given.get(name) };
}

const shown = fragment();
if (!window.isSecureContext || !crypto.subtle) {
  place.replaceChildren(el("p", {}, "A browser makes keys only for pages of https or of this machine. Open this page at http://127.0.0.1 on the gateway's host, or by https."));
} else {
  shown ? link.show(shown) : link.open();
}
