// The page: which view is open, what the link says, and one place where something is asked before it is done.

import { Device } from "./device.js";
import { Link, WANTED } from "./link.js";
import { command, el, sentence, unseen } from "./text.js";
import { gate } from "./gate.js";
import * as devices from "./devices.js";
import * as journal from "./journal.js";
import * as provenance from "./provenance.js";
import * as timeline from "./timeline.js";
import * as policy from "./policy.js";
import * as health from "./health.js";

const VIEWS = { devices, journal, provenance, timeline, policy, health };
/** What a scope implies beside itself; `operator.admin` implies all. */
const IMPLIES = { "operator.write": ["operator.read"] };
const SAID_MS = 6_000;

const place = document.getElementById("view");
const nav = document.getElementById("views");
const state = document.getElementById("link");
const notes = document.getElementById("notes");
const spoken = document.getElementById("said");

/** What a view works with. */
const page = {
  /** The scopes of this connection. */
  scopes: [],
  /** The id of this browser's device. */
  get device() {
    return link.device?.id;
  },
  call: (method, params, within) => link.call(method, params, within),
  /** The gateway's clock, in milliseconds. */
  now: () => Date.now() + link.ahead,
  /** Whether this connection may do what needs `scope`. */
  may: (scope) => page.scopes.some((held) => held === "operator.admin" || held === scope || IMPLIES[held]?.includes(scope)),
  /** Keeps a token of this browser's own device, whose connections the gateway closes now. */
  async keep(token) {
    await Device.keep(token);
    link.open();
  },
  say(text) {
    spoken.replaceChildren(text);
    clearTimeout(page.saying);
    page.saying = setTimeout(() => spoken.replaceChildren(), SAID_MS);
  },
  /** Looks anew at what stands above every view. */
  look: () => look(),
  /** Why something cannot be shown, and what would help. */
  trouble: (error) => el("p.bad", { role: "alert" }, "This cannot be shown: ", sentence(error.message)),
  /** Asks before `does` is done: `what` tells what it will do. */
  ask(title, what, button, does, takes = false) {
    const box = document.getElementById("ask");
    const problem = el("p.bad", { role: "alert" });
    const go = el(`button${takes ? ".takes" : ".first"}`, { type: "submit" }, button);
    const no = el("button", { type: "button", onclick: () => box.close() }, "Cancel");
    const submit = async (event) => {
      event.preventDefault();
      go.disabled = true;
      try {
        const done = await does();
        box.close();
        page.say(done ?? "Done.");
        open?.changed?.();
      } catch (error) {
        problem.replaceChildren(sentence(error.message));
        go.disabled = false;
      }
    };
    box.replaceChildren(el("form", { onsubmit: submit }, el("h2", { id: "ask-title" }, title), what, problem, el("div.acts", {}, go, no)));
    box.showModal();
    (box.querySelector("input:not([type=checkbox])") ?? no).focus();
  },
};

let [view, open] = [devices, undefined];

function show() {
  view = VIEWS[location.hash.slice(1).split("/")[0]] ?? devices;
  for (const anchor of nav.children) {
    VIEWS[anchor.hash.slice(1)] === view ? anchor.setAttribute("aria-current", "page") : anchor.removeAttribute("aria-current");
  }
  close();
  document.title = `${view.TITLE} – OpenClaw pairing`;
  place.replaceChildren();
  open = view.open(place, page);
}

function close() {
  open?.close?.();
  open = undefined;
}

nav.replaceChildren(...Object.entries(VIEWS).map(([name, { TITLE }]) => el("a", { href: `#${name}` }, TITLE)));

/** What somebody has to see, whichever view is open: what is not in order, what the owner did, and what this browser lacks. */
async function look() {
  const lacks = WANTED.filter((scope) => !page.may(scope));
  const { conditions = [], ownerActs } = page.may("operator.read") ? await page.call("status").catch(() => ({})) : {};
  const told = [
    ...conditions.map(({ message }) => el("p.bad", {}, sentence(message))),
    ownerActs?.unseen > 0 && el("p", {}, unseen(ownerActs.unseen), ". ", el("a", { href: "#health" }, "See what it was")),
    lacks.length > 0 && el("p", {}, `This browser lacks ${lacks.join(", ")}. `, el("button.quiet", { type: "button", onclick: widen }, "Ask for it")),
  ].filter(Boolean);
  notes.replaceChildren(...told);
  notes.hidden = told.length === 0;
}

/** Asks for all that the page can use, and comes back with it once somebody approved. */
async function widen() {
  try {
    const { requestId } = await page.call("device.scopes.requestUpgrade", { scopes: WANTED });
    notes.replaceChildren(el("p", {}, `Asked for it as request ${requestId}. On the gateway's host: `, command(`openclaw devices approve ${requestId}`)));
    const { status } = await page.call("device.scopes.waitUpgrade", { requestId }, 0);
    if (status === "approved") {
      await Device.narrow(undefined);
      return link.open();
    }
    page.say(`Request ${requestId} was ${status}.`);
  } catch (error) {
    page.say(error.message);
  }
  look();
}

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
      nav.hidden = false;
      // Who comes back after a break stays at what was open.
      open ? open.changed?.() : show();
      look();
    } else if (what === "refused") {
      document.getElementById("ask").close();
      nav.hidden = notes.hidden = true;
      if (open) place.replaceChildren();
      close();
      gate(place, link, detail);
    }
  },
  (event, payload) => {
    open?.pushed?.(event, payload);
    if (event === "owner.acted") look();
    if (event === "device.pair.requested" && view !== devices) page.say("A device waits for an answer.");
  },
);

addEventListener("hashchange", () => {
  const secret = fragment();
  if (secret) return link.show(secret);
  if (nav.hidden) return;
  show();
  place.focus();
});
document.getElementById("skip").addEventListener("click", () => place.focus());

/**
 * What stands behind the `#` is shown once, and is neither in the address nor behind the back button from then on. A browser's own
 * files may keep it all the same, which is why the owner's code is spent with its first use.
 */
function fragment() {
  const given = new URLSearchParams(location.hash.slice(1));
  const name = ["bootstrapToken", "token", "password"].find((name) => given.get(name));
  if (!name) return undefined;
  history.replaceState(null, "", location.pathname + location.search);
  return { [name]: given.get(name) };
}

const shown = fragment();
if (!window.isSecureContext || !crypto.subtle) {
  place.replaceChildren(el("p", {}, "A browser makes keys only for pages of https or of this machine. ",
    "Open this page at http://127.0.0.1 on the gateway's host, or by https."));
} else {
  shown ? link.show(shown) : link.open();
}
