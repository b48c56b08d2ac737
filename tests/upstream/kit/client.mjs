// A small client of protocol 3 or 4: what a Control UI, a phone or a script does, one frame at a time.
import crypto from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { clientDirectory, OLDER } from './cli.mjs';
import { within } from './scratch.mjs';

// OpenClaw's own WebSocket library: unlike the built-in one it lets us set Host, which makes a peer remote.
const { WebSocket } = createRequire(path.join(clientDirectory(OLDER), 'node_modules/openclaw/package.json'))('ws');

const REPLY_MS = 10000;

/** A new Ed25519 identity. `secrets` are the forms in which its private key must never be found anywhere. */
export function newDevice() {
  const { publicKey, privateKey } = crypto.generateKeyPairSync('ed25519');
  const { x, d } = privateKey.export({ format: 'jwk' });
  const raw = Buffer.from(x, 'base64url');
  return {
    id: crypto.createHash('sha256').update(raw).digest('hex'),
    publicKey: x,
    privateKey,
    secrets: [d, privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64')],
  };
}

/** The identity that a real 2026.3.13 client keeps in this HOME. */
export function deviceOf(home) {
  const { deviceId, privateKeyPem } = JSON.parse(fs.readFileSync(path.join(home, '.openclaw/identity/device.json'), 'utf8'));
  const privateKey = crypto.createPrivateKey(privateKeyPem);
  return { id: deviceId, publicKey: privateKey.export({ format: 'jwk' }).x, privateKey };
}

function sign(device, version, { client, role, scopes, auth, signedAt, nonce }) {
  const token = auth.token ?? auth.deviceToken ?? auth.bootstrapToken ?? '';
  const fields = [version, device.id, client.id, client.mode, role, scopes.join(','), signedAt, token, nonce];
  if (version === 'v3') {
    const claim = (text) => (text ?? '').trim().toLowerCase();
    fields.push(claim(client.platform), claim(client.deviceFamily));
  }
  return crypto.sign(null, Buffer.from(fields.join('|')), device.privateKey).toString('base64url');
}

/**
 * Connects and says who it is.
 * Admitted: { hello, request(method, params), close(), closed }; refused: { error, close: { code, reason } }.
 * `host` is a foreign Host header (a remote peer), `forwarded` the address for which a proxy speaks; `signature` is v3 or v2.
 */
export async function connect(url, options = {}) {
  const {
    device,
    auth = {},
    role = 'operator',
    scopes = [],
    client = {},
    host,
    forwarded,
    signature = 'v3',
    protocol = 3,
    caps = [],
    commands,
  } = options;
  const headers = { ...(host && { host }), ...(forwarded && { 'x-forwarded-for': forwarded }) };
  const socket = new WebSocket(url, { headers });
  const waiting = new Map();
  let onChallenge;
  const challenge = new Promise((resolve) => (onChallenge = resolve));
  const closed = new Promise((resolve) =>
    socket.on('close', (code, reason) => resolve({ code, reason: String(reason) })),
  );
  socket.on('error', () => {}); // a close follows
  socket.on('message', (data) => {
    const frame = JSON.parse(data);
    if (frame.event === 'connect.challenge') onChallenge(frame.payload.nonce);
    if (frame.type === 'res') {
      waiting.get(frame.id)?.(frame);
      waiting.delete(frame.id);
    }
  });

  /** Sends a request; gives the whole response frame, or `undefined` when the socket closed first. */
  const call = (method, params) => {
    const id = crypto.randomUUID();
    const reply = new Promise((resolve) => waiting.set(id, resolve));
    socket.send(JSON.stringify({ type: 'req', id, method, params }), () => {});
    return within(REPLY_MS, `a reply to ${method}`, Promise.race([reply, closed.then(() => undefined)]));
  };

  const nonce = await within(REPLY_MS, 'the challenge', Promise.race([challenge, closed.then(() => undefined)]));
  if (nonce === undefined) return { close: await closed };
  const self = { id: 'gateway-client', version: '1.0.0', platform: 'linux', mode: 'ui', ...client };
  const signedAt = Date.now();
  const params = { minProtocol: protocol, maxProtocol: protocol, client: self, caps, commands, auth, role, scopes };
  if (device) {
    params.device = {
      id: device.id,
      publicKey: device.publicKey,
      signature: sign(device, signature, { client: self, role, scopes, auth, signedAt, nonce }),
      signedAt,
      nonce,
    };
  }
  const answer = await call('connect', params);
  if (!answer?.ok) {
    return { error: answer?.error, close: await within(REPLY_MS, 'the close after a refusal', closed) };
  }
  return {
    hello: answer.payload,
    request: call,
    closed,
    async close() {
      socket.close();
      await within(REPLY_MS, 'the socket closes', closed);
    },
  };
}
