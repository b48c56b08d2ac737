// The search for secrets is only worth something if it finds one.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { scratchDirectory } from './kit/scratch.mjs';
import { whereSecretsAre } from './kit/secrets.mjs';

test('the search for secrets finds a planted one in every form, and only where none may be', () => {
  const bytes = crypto.randomBytes(32);
  const token = bytes.toString('base64url');
  const planted = { text: token, raw: bytes, hex: bytes.toString('hex'), base64: bytes.toString('base64') };
  for (const [form, secret] of Object.entries(planted)) {
    const home = scratchDirectory('planted');
    const journal = path.join(home, '.openclaw/journal');
    fs.mkdirSync(journal, { recursive: true });
    fs.mkdirSync(path.join(home, '.openclaw/identity'));
    const around = (inner) => Buffer.concat([Buffer.from('before '), Buffer.from(inner), Buffer.from(' after')]);
    fs.writeFileSync(path.join(journal, 'clean'), around('nothing to see'));
    fs.writeFileSync(path.join(home, '.openclaw/identity/device-auth.json'), around(token));
    assert.deepEqual(whereSecretsAre(new Set([token]), home, [['quiet', 'Approved']]), []);
    fs.writeFileSync(path.join(journal, 'dirty'), around(secret));
    assert.deepEqual(whereSecretsAre(new Set([token]), home, [['loud', `token ${token}`]]), [
      '.openclaw/journal/dirty',
      'loud',
    ], form);
  }
});
