// The real client with a narrow token: refused once, and its own fallback must not pretend anything.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { story } from './kit/story.mjs';

story('the real client, made narrow, asks once and approves nothing by itself', async (s, t) => {
  const narrow = ['operator.pairing'];
  let self;

  await t.test('it pairs, and the owner narrows its token', async () => {
    const first = await s.real('devices', 'list');
    assert.equal(first.code, 0, first.stderr);
    self = JSON.parse(fs.readFileSync(path.join(s.gateway.state, 'identity/device.json'), 'utf8')).deviceId;
    const rotated = await s.ours('devices', 'rotate', '--device', self, '--role', 'operator', '--scope', ...narrow);
    assert.equal(rotated.code, 0, rotated.stderr);
  });

  let request;
  const stillOneRequest = async () => {
    const { pending, paired } = await s.listing();
    assert.equal(pending.length, 1);
    assert.equal(pending[0].deviceId, self);
    request ??= pending[0].requestId;
    assert.equal(pending[0].requestId, request);
    assert.deepEqual(paired.find(({ deviceId }) => deviceId === self).tokens[0].scopes, narrow);
  };
  const refused = (run) => {
    assert.match(run.stderr, /pairing required/);
    assert.doesNotMatch(run.stdout, /Approved/);
  };

  await t.test('devices list is refused and makes one request', async () => {
    refused(await s.real('devices', 'list'));
    await stillOneRequest();
  });

  await t.test('devices approve finds nothing to approve, and says so', async () => {
    const run = await s.real('devices', 'approve');
    refused(run);
    assert.equal(run.code, 1);
    assert.match(run.stderr, /No pending device pairing requests to approve/);
    await stillOneRequest();
  });

  await t.test('devices approve <its own request> approves nothing, and does not say that it did', async () => {
    const run = await s.real('devices', 'approve', request);
    refused(run);
    assert.equal(run.code, 1);
    await stillOneRequest();
  });

  await t.test('the owner approves the request, and the client is back', async () => {
    const approved = await s.ours('devices', 'approve', request);
    assert.equal(approved.code, 0, approved.stderr);
    const back = await s.real('devices', 'list', '--json');
    assert.equal(back.code, 0, back.stderr);
    assert.deepEqual(JSON.parse(back.stdout).pending, []);
  });
});
