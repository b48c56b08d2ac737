// This browser's device: an Ed25519 key that no script can read out, kept in IndexedDB beside the token that it was given. All tabs
// share it.

const STORE = "device";

export class Device {
  #key;
  /** Its id: SHA-256 of the key. */
  id;
  /** The token that it was given last. */
  token;
  /** What it asks for, if that was narrowed. */
  scopes;

  /** The device that is kept, or a new one. Two tabs that come at once get the same. */
  static async load() {
    return new Device((await read()) ?? (await begin()));
  }

  constructor({ id, publicKey, privateKey, token, scopes }) {
    this.#key = { publicKey, privateKey };
    this.id = id;
    this.token = token;
    this.scopes = scopes;
  }

  /** The `device` of a connect that shows this; `signedAt` is the gateway's time, since this machine's clock may be wrong. */
  async sign({ client, role, scopes, nonce, signedAt, auth, platform }) {
    // A password is no part of what is signed (OpenClaw 2026.3.13).
    const secret = auth.token ?? auth.deviceToken ?? auth.bootstrapToken ?? "";
    const text = ["v3", this.id, client.id, client.mode, role, scopes.join(","), signedAt, secret, nonce, platform.toLowerCase(), ""];
    const bytes = new TextEncoder().encode(text.join("|"));
    const signature = base64(await crypto.subtle.sign("Ed25519", this.#key.privateKey, bytes));
    return { id: this.id, publicKey: this.#key.publicKey, signature, signedAt, nonce };
  }

  /** Keeps a token that it was given. */
  static keep(token) {
    return change((kept) => kept && { ...kept, token });
  }

  /** Drops a token that is good no longer, unless another tab has a newer one. */
  static drop(token) {
    return change((kept) => (kept?.token === token ? { ...kept, token: undefined } : kept));
  }

  /** Asks for these scopes from now on; for all that the page can use without. */
  static narrow(scopes) {
    return change((kept) => kept && { ...kept, scopes });
  }

  /** Forgets key and token: the next load begins another device. */
  static forget() {
    return change(() => undefined);
  }
}

async function begin() {
  const pair = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
  const raw = await crypto.subtle.exportKey("raw", pair.publicKey);
  const digest = await crypto.subtle.digest("SHA-256", raw);
  const id = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const made = { id, publicKey: base64(raw), privateKey: pair.privateKey };
  return change((kept) => kept ?? made);
}

const base64 = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

const asked = (request) =>
  new Promise((done, fail) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error);
  });

async function database() {
  const request = indexedDB.open("openclaw-control-ui", 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE);
  return asked(request);
}

async function read() {
  const db = await database();
  return asked(db.transaction(STORE).objectStore(STORE).get(STORE)).finally(() => db.close());
}

/** Changes what is kept in one transaction, and gives what is kept then. */
async function change(does) {
  const db = await database();
  const store = db.transaction(STORE, "readwrite").objectStore(STORE);
  const after = does(await asked(store.get(STORE)));
  await asked(after ? store.put(after, STORE) : store.delete(STORE));
  db.close();
  return after;
}
