// The way to the gateway: one WebSocket, signed in as this browser's device. It comes back by itself after a break, and a refusal
// is no break: it says what is missing, and whether waiting helps.

import { Device } from "./device.js";

const PROTOCOL = 4;
const CLIENT = { id: "openclaw-control-ui", mode: "ui", version: "1" };
/** What this page is for; what it may not do, it says. */
const WANTED = ["operator.admin", "operator.read", "operator.write", "operator.approvals", "operator.pairing"];
const CALL_MS = 15_000;
const RETRY_MS = { least: 500, most: 15_000 };
/** A close after which only a person helps: device removed, token revoked or rotated. */
const TAKEN_AWAY = 4001;

export class Refused extends Error {
  constructor({ code, message, details, retryAfterMs }) {
    super(message);
    this.code = code;
    this.details = details ?? {};
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Tells `hears(state, what)` of: `connecting`; `open` (hello-ok); `refused` (Refused); `broken` (milliseconds until the next
 * try); and `pushed(event, payload)` of what the gateway tells.
 */
export class Link {
  #hears;
  #pushed;
  #socket;
  #calls = new Map();
  #next = 1;
  #tries = 0;
  #timer;
  #secret;

  constructor(hears, pushed) {
    this.#hears = hears;
    this.#pushed = pushed;
  }

  /** What is shown once to be let in: `{ token }`, `{ password }` or `{ bootstrapToken }`. It is kept nowhere. */
  show(secret) {
    this.#secret = secret;
    this.open();
  }

  open() {
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#hears("connecting");
    const at = new URL(location.href);
    at.protocol = at.protocol === "https:" ? "wss:" : "ws:";
    at.hash = at.search = "";
    const socket = new WebSocket(at);
    this.#socket = socket;
    const mine = (does) => (event) => socket === this.#socket && does(event);
    socket.onmessage = mine(({ data }) => this.#hear(JSON.parse(data)));
    socket.onclose = mine((event) => this.#closed(event));
  }

  /** Asks for a method; fails with Refused. */
  call(method, params = {}) {
    return new Promise((done, fail) => {
      if (this.#socket?.readyState !== WebSocket.OPEN) return fail(new Refused({ message: "The gateway is not reached." }));
      const id = String(this.#next++);
      const timer = setTimeout(() => this.#answer({ id, error: { message: `No answer to ${method} in time.` } }), CALL_MS);
      this.#calls.set(id, { done, fail, timer });
      this.#socket.send(JSON.stringify({ type: "req", id, method, params }));
    });
  }

  #hear(frame) {
    if (frame.type === "res") return this.#answer(frame);
    if (frame.event === "connect.challenge") return this.#signIn(frame.payload.nonce);
    this.#pushed(frame.event, frame.payload ?? {});
  }

  #answer({ id, error, payload }) {
    const call = this.#calls.get(id);
    if (!call) return;
    this.#calls.delete(id);
    clearTimeout(call.timer);
    error ? call.fail(new Refused(error)) : call.done(payload);
  }

  async #signIn(nonce) {
    const device = await Device.load();
    const auth = this.#secret ?? (device.token ? { deviceToken: device.token } : {});
    const platform = navigator.userAgentData?.platform || navigator.platform || "web";
    const shown = { role: "operator", scopes: device.scopes ?? WANTED, platform, nonce, auth, client: CLIENT };
    try {
      const hello = await this.call("connect", {
        minProtocol: PROTOCOL,
        maxProtocol: PROTOCOL,
        client: { ...CLIENT, platform },
        role: shown.role,
        scopes: shown.scopes,
        device: await device.sign(shown),
        auth,
      });
      this.#tries = 0;
      this.#secret = undefined;
      if (hello.auth?.deviceToken) await device.keep(hello.auth.deviceToken);
      this.#hears("open", hello);
    } catch (refusal) {
      if (refusal.details.code === "AUTH_DEVICE_TOKEN_MISMATCH") await device.keep(undefined);
      this.#refused(refusal);
    }
  }

  #refused(refusal) {
    this.#hears("refused", refusal);
    const wait = refusal.details.code === "PAIRING_REQUIRED" || refusal.retryAfterMs;
    if (!wait) this.#secret = undefined;
    // The close that follows a refusal is part of it.
    this.#socket.onclose = null;
    if (wait) this.#later(Math.max(refusal.retryAfterMs ?? 0, 2_000));
  }

  #closed({ code, reason }) {
    for (const { fail, timer } of this.#calls.values()) {
      clearTimeout(timer);
      fail(new Refused({ message: "The connection broke off before the answer." }));
    }
    this.#calls.clear();
    if (code === TAKEN_AWAY) return this.#hears("refused", new Refused({ code: "TAKEN_AWAY", message: reason }));
    const wait = Math.min(RETRY_MS.least * 2 ** this.#tries++, RETRY_MS.most) * (0.75 + Math.random() / 2);
    this.#hears("broken", wait);
    this.#later(wait);
  }

  #later(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.open(), ms);
  }
}
