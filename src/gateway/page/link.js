// The way to the gateway: one WebSocket, signed in as this browser's device. It comes back by itself after a break, and a refusal
// is no break: it says what is missing, and whether waiting helps.

import { Device } from "./device.js";

const PROTOCOL = 4;
const CLIENT = { id: "openclaw-control-ui", mode: "ui", version: "1", displayName: "Control UI" };
/** What this page can use; what it may not do, it says. */
export const WANTED = ["operator.admin", "operator.read", "operator.write", "operator.approvals", "operator.pairing"];
const CALL_MS = 15_000;
const RETRY_MS = { least: 500, most: 15_000 };
/** How often it is asked anew whether somebody approved. */
const WAIT_MS = 2_000;
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
  #turn;
  #calls = new Map();
  #next = 1;
  #tries = 0;
  #timer;
  #secret;
  #state;
  /** Tells the other tabs that this device was let in, so that they need no secret of their own. */
  #tabs = new BroadcastChannel("openclaw-control-ui");
  /** This browser's device, as it was kept when this was opened. */
  device;
  /** How far the gateway's clock is ahead of this browser's, in milliseconds. */
  ahead = 0;

  constructor(hears, pushed) {
    this.#hears = (state, what) => hears((this.#state = state), what);
    this.#pushed = pushed;
    this.#tabs.onmessage = () => this.#state === "refused" && this.open();
  }

  /** What is shown once to be let in: `{ token }`, `{ password }` or `{ bootstrapToken }`. It is kept nowhere. */
  show(secret) {
    this.#secret = secret;
    this.open();
  }

  /** Opens it anew. Only who has a key at hand opens a socket. */
  async open() {
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#socket = undefined;
    this.#giveUp();
    if (this.#state !== "refused") this.#hears("connecting");
    const turn = (this.#turn = {});
    try {
      this.device = await Device.load();
    } catch (error) {
      const message = `This browser makes or keeps no key for this page, and nobody is let in without one: ${error.message}`;
      return this.#hears("refused", new Refused({ code: "NO_KEY", message }));
    }
    if (turn !== this.#turn) return;
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
  call(method, params = {}, within = CALL_MS) {
    return new Promise((done, fail) => {
      if (this.#socket?.readyState !== WebSocket.OPEN) return fail(new Refused({ message: "The gateway is not reached." }));
      const id = String(this.#next++);
      const late = () => this.#answer({ id, error: { message: `No answer to ${method} in time.` } });
      this.#calls.set(id, { done, fail, timer: within && setTimeout(late, within) });
      this.#socket.send(JSON.stringify({ type: "req", id, method, params }));
    });
  }

  #hear(frame) {
    if (frame.type === "res") return this.#answer(frame);
    if (frame.event === "connect.challenge") return this.#signIn(frame.payload);
    this.#pushed(frame.event, frame.payload ?? {});
  }

  #answer({ id, error, payload }) {
    const call = this.#calls.get(id);
    if (!call) return;
    this.#calls.delete(id);
    clearTimeout(call.timer);
    error ? call.fail(new Refused(error)) : call.done(payload);
  }

  async #signIn({ nonce, ts: signedAt }) {
    const { device } = this;
    const socket = this.#socket;
    this.ahead = signedAt - Date.now();
    const auth = this.#secret ?? (device.token ? { deviceToken: device.token } : {});
    const platform = navigator.userAgentData?.platform || navigator.platform || "web";
    const shown = { role: "operator", scopes: device.scopes ?? WANTED, platform, nonce, signedAt, auth, client: CLIENT };
    const params = {
      minProtocol: PROTOCOL,
      maxProtocol: PROTOCOL,
      client: { ...CLIENT, platform },
      role: shown.role,
      scopes: shown.scopes,
      device: await device.sign(shown),
      auth,
    };
    if (socket !== this.#socket) return;
    try {
      const hello = await this.call("connect", params);
      this.#tries = 0;
      this.#secret = undefined;
      if (hello.auth?.deviceToken && hello.auth.deviceToken !== device.token) {
        await Device.keep(hello.auth.deviceToken);
        this.#tabs.postMessage("let in");
      }
      this.#hears("open", hello);
    } catch (refusal) {
      if (socket === this.#socket) await this.#refused(refusal, auth);
    }
  }

  async #refused(refusal, auth) {
    // What broke off was no refusal; its close says so.
    if (!refusal.code) return;
    // The close that follows a refusal is part of it.
    this.#socket.onclose = null;
    const { code } = refusal.details;
    if (code === "AUTH_DEVICE_TOKEN_MISMATCH") await Device.drop(auth.deviceToken);
    const waits = code === "PAIRING_REQUIRED" || refusal.retryAfterMs;
    if (!waits) this.#secret = undefined;
    // A secret that is wrong, or spent, locks nobody out who has a token.
    if (!waits && !auth.deviceToken && this.device.token) return this.open();
    this.#hears("refused", refusal);
    if (waits) this.#later(Math.max(refusal.retryAfterMs ?? 0, WAIT_MS));
  }

  #closed({ code, reason }) {
    this.#giveUp();
    if (code === TAKEN_AWAY) return this.#hears("refused", new Refused({ code: "TAKEN_AWAY", message: reason }));
    const wait = Math.min(RETRY_MS.least * 2 ** this.#tries++, RETRY_MS.most) * (0.75 + Math.random() / 2);
    this.#hears("broken", wait);
    this.#later(wait);
  }

  #giveUp() {
    for (const { fail, timer } of this.#calls.values()) {
      clearTimeout(timer);
      fail(new Refused({ message: "The connection broke off before the answer." }));
    }
    this.#calls.clear();
  }

  #later(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.open(), ms);
  }
}
