// Looks for secrets where none may be: byte by byte, in every form in which one could be written.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** The only places below HOME that may hold a secret: the configuration, the identity (2026.9.6: a database), what OpenClaw left, our key files. */
const MAY_HOLD_SECRETS = [
  /^\.openclaw\/openclaw\.json/,
  /^\.openclaw\/identity\//,
  /^\.openclaw\/state\/openclaw\.sqlite/,
  /^\.openclaw\/devices\/paired\.openclaw\.json$/,
  /^\.openclaw\/pairing\/[^/]+\.key$/,
];

function* filesUnder(directory) {
  if (!fs.existsSync(directory)) return;
  for (const entry of fs.readdirSync(directory, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) yield path.join(entry.parentPath, entry.name);
  }
}

/** The secrets that the files of this HOME hold: private keys, device tokens, our own keys. */
export function* secretsUnder(home) {
  const identity = path.join(home, '.openclaw/identity');
  for (const file of filesUnder(identity)) {
    const { privateKeyPem, tokens = {} } = JSON.parse(fs.readFileSync(file, 'utf8'));
    if (privateKeyPem) yield* formsOfKey(privateKeyPem);
    for (const { token } of Object.values(tokens)) yield token;
  }
  yield* secretsInDatabase(path.join(home, '.openclaw/state/openclaw.sqlite'));
  for (const file of filesUnder(path.join(home, '.openclaw/pairing'))) {
    if (file.endsWith('.key')) yield fs.readFileSync(file).toString('latin1').trim();
  }
}

/** Where the 2026.9.6 client keeps its identity and its device tokens. */
function* secretsInDatabase(file) {
  if (!fs.existsSync(file)) return;
  const database = new DatabaseSync(file);
  try {
    for (const row of database.prepare('SELECT private_key_pem AS pem FROM device_identities').all()) yield* formsOfKey(row.pem);
    for (const { token } of database.prepare('SELECT token FROM device_auth_tokens UNION SELECT token FROM gateway_origin_device_tokens').all()) yield token;
  } finally {
    database.close();
  }
}

function* formsOfKey(pem) {
  const key = crypto.createPrivateKey(pem);
  yield key.export({ format: 'jwk' }).d;
  yield key.export({ type: 'pkcs8', format: 'der' }).toString('base64');
}

/** One secret as text, as the bytes that it stands for, and these in hex and base64. */
function formsOf(secret) {
  const forms = [Buffer.from(secret, 'latin1')];
  for (const encoding of ['base64url', 'hex']) {
    const bytes = Buffer.from(secret, encoding);
    const says = bytes.toString(encoding) === secret && bytes.length >= 16;
    if (says) forms.push(bytes, ...['hex', 'base64', 'base64url'].map((as) => Buffer.from(bytes.toString(as))));
  }
  return forms.filter((form) => form.length >= 16);
}

/** Gives `place` for every place below HOME, and in what was printed, where one of the secrets is found. */
export function whereSecretsAre(secrets, home, printed) {
  const forms = [...secrets].flatMap(formsOf);
  const places = [];
  const look = (place, bytes) => {
    if (forms.some((form) => bytes.includes(form))) places.push(place);
  };
  for (const file of filesUnder(home)) {
    const place = path.relative(home, file);
    if (!MAY_HOLD_SECRETS.some((allowed) => allowed.test(place))) look(place, fs.readFileSync(file));
  }
  for (const [command, text] of printed) look(command, Buffer.from(text));
  return places;
}
