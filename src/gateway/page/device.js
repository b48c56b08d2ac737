// This browser's device: an Ed25519 key that no script can read out, kept in IndexedDB beside the token that it was given.

const STORE = "device";

export class Device {
  #key;
  id;
  token;
  scopes;

  /** The device that is kept, or a new one. Two tabs that come at once get the same. */
  static async load() {
    const kept = await read();
    return new Device(kept ?? (await begin()));
  }

  constructor({ id, publicKey, privateKey, token }) {
    this.#key = { publicKey, privateKey };
    this.id = id;
    this.token = token;
  }

  /** The `device` of a connect that shows this. */
  async sign({ client, role, scopes, nonce, auth, platform }) {
    const signedAt = Date.now();
    const secret = auth.token ?? auth.deviceToken ?? auth.bootstrapToken ?? auth.password ?? "";
    const text = ["v3", this.id, client.id, client.mode, role, scopes.join(","), signedAt, secret, nonce, platform.toLowerCase(), ""];
    const bytes = new TextEncoder().encode(text.join("|"));
    const signature = base64(await crypto.subtle.sign("Ed25519", this.#key.privateKey, bytes));
    return { id: this.id, publicKey: this.#key.publicKey, signature, signedAt, nonce };
  }

  async keep(token) {
    this.token = token;
    await change((kept) => ({ ...kept, token }));
  }

  /** Forgets key and token: the next load begins another device. */
  static async forget() {
    await change(() => undefined);
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
