// The 2026.9.6 client shows its device only to a gateway that is not on loopback: there it pairs, as an operator and as a
// node, in its own words.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { NEWER, startReal } from './kit/cli.mjs';
import { recordingsOf, sameAsRecorded } from './kit/recordings.mjs';
import { privateAddress, until, within } from './kit/scratch.mjs';
import { story } from './kit/story.mjs';

const recording = recordingsOf(NEWER);

const address = privateAddress();
const SETUP = {
  release: NEWER,
  gateway: { customBindHost: address },
  skip: address ? false : 'this machine has no private address, and no network of our own could be made',
};
const UNKNOWN = '00000000-0000-4000-8000-000000000000';

/** The one request that waits, which must be of this client. */
async function theOneRequest(s, clientId) {
  const { pending } = await s.listing();
  assert.deepEqual(pending.map((request) => request.clientId), [clientId]);
  return pending[0];
}

async function ownerDoes(s, ...args) {
  const done = await s.ours('devices', ...args);
  assert.equal(done.code, 0, done.stderr);
}

story('2026.9.6 from afar is refused, asks, is approved and let in', async (s, t) => {
  const home = s.newClientHome();
  const real = (...args) => s.realFrom(home, ...args);
  let first;
  let device;

  await t.test('refused: not paired, with the request', async () => {
    sameAsRecorded(await real('cron', 'list'), recording('afar-not-paired-cron'));
    first = await theOneRequest(s, 'cli');
    device = first.deviceId;
    assert.deepEqual([first.reason, first.remoteIp, first.scopes], ['not-paired', address, ['operator.read']]);
  });

  await t.test('another command asks for more: one request for both, and its id is in what it prints', async () => {
    const list = await real('devices', 'list');
    sameAsRecorded(list, recording('afar-not-paired'));
    const both = await theOneRequest(s, 'cli');
    assert.notEqual(both.requestId, first.requestId);
    assert.deepEqual([...both.scopes].sort(), ['operator.pairing', 'operator.read']);
    assert.ok(list.stderr.includes(`(requestId: ${both.requestId})`), list.stderr);
    sameAsRecorded(await real('devices', 'list', '--json'), recording('afar-not-paired-json'));
    assert.equal((await theOneRequest(s, 'cli')).requestId, both.requestId);
  });

  await t.test('approved by the owner, it is let in as what it is', async () => {
    await ownerDoes(s, 'approve', (await theOneRequest(s, 'cli')).requestId);
    sameAsRecorded(await real('devices', 'list'), recording('afar-list'), (table) =>
      JSON.parse(JSON.stringify(table).replaceAll('10.213.0.1', address)),
    );
    const last = (await s.journal()).findLast(({ event }) => event === 'ConnectionAdmitted').fields;
    assert.deepEqual([last.rule, last.attempt.proof.device, last.attempt.protocol], ['paired', device, 4]);
  });

  await t.test('it cannot approve what it does not hold, least of all its own wish', async () => {
    const wish = await real('cron', 'add', '--name', 'x', '--every', '1h', '--message', 'x');
    sameAsRecorded(wish, recording('afar-scope-upgrade'));
    const request = await theOneRequest(s, 'cli');
    assert.deepEqual([request.reason, request.missingScopes], ['scope-upgrade', ['operator.admin']]);
    const approve = await real('devices', 'approve', request.requestId);
    assert.equal(approve.code, recording('afar-approve').rc);
    assert.match(approve.stderr, /^This device can't approve its own scope upgrade\./m);
    assert.equal((await theOneRequest(s, 'cli')).requestId, request.requestId);
    const unknown = await real('devices', 'approve', UNKNOWN);
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /^No pending device request matches/m);
  });

  await t.test('it keeps its device token, and needs no shared one any more', async () => {
    const logs = await real('logs', '--limit', '1'); // devices list reads its state only, and would keep nothing
    assert.equal(logs.code, 0, logs.stderr);
    s.keepSecretsSeen();
    const config = { plugins: { enabled: false }, gateway: { mode: 'remote', remote: { url: s.url } } };
    fs.writeFileSync(path.join(home, '.openclaw/openclaw.json'), JSON.stringify(config));
    const list = await s.realAsConfigured(home, 'devices', 'list', '--json');
    assert.equal(list.code, 0, list.stderr);
    const { attempt } = (await s.journal()).findLast(({ event }) => event === 'ConnectionAdmitted').fields;
    assert.deepEqual([attempt.proof.device, attempt.credential.shared, attempt.credential.token], [device, 'missing', 'live']);
  });

  await t.test('revoked, it is told that it asks for a role again', async () => {
    await ownerDoes(s, 'reject', (await theOneRequest(s, 'cli')).requestId);
    await ownerDoes(s, 'revoke', '--device', device, '--role', 'operator');
    const refused = await real('devices', 'list');
    assert.equal(refused.code, 1);
    const { requestId, reason } = await theOneRequest(s, 'cli');
    assert.equal(reason, 'role-upgrade');
    assert.ok(refused.stderr.includes(`role upgrade pending approval (requestId: ${requestId})`), refused.stderr);
  });
}, SETUP);

story('the node host of 2026.9.6 from afar is refused, approved and connected', async (s, t) => {
  const home = s.newClientHome();
  const start = () => {
    const args = ['node', 'run', '--host', address, '--port', String(s.gateway.port), '--display-name', 'Bench'];
    const running = startReal(NEWER, home, args, { OPENCLAW_GATEWAY_TOKEN: s.gateway.token });
    running.done.then((result) => s.heard(result));
    return running;
  };
  let running = start();
  const end = () => within(20000, 'the node host ends', running.stop());
  const says = (words) => until(`the node host says ${words}`, () => words.test(running.errors()), 60000);
  let deviceId;

  await t.test('refused: it waits for a person, and names the request', async () => {
    await says(/device pairing required \(requestId: /);
    const request = await theOneRequest(s, 'node-host');
    deviceId = request.deviceId;
    assert.deepEqual([request.role, request.reason, request.displayName], ['node', 'not-paired', 'Bench']);
    assert.ok(running.errors().includes(request.requestId), running.errors());
    await says(/reconnect paused .* waiting for operator action/);
    await end();
  });

  await t.test('approved by the owner, it connects, and is listed as connected', async () => {
    await ownerDoes(s, 'approve', (await theOneRequest(s, 'node-host')).requestId);
    running = start();
    const isConnected = (device) => device.deviceId === deviceId && device.connected;
    const node = await until('it is connected', async () => (await s.listing()).paired.find(isConnected), 60000);
    assert.deepEqual([node.roles, node.scopes], [['node'], []]);
    assert.doesNotMatch(running.errors(), /pairing required/);
  });

  await t.test('revoked, it is put out and asks again', async () => {
    await ownerDoes(s, 'revoke', '--device', deviceId, '--role', 'node');
    await says(/closed \(4001\)/);
    await says(/role upgrade pending approval/);
    assert.equal((await theOneRequest(s, 'node-host')).reason, 'role-upgrade');
    await end();
  });
}, SETUP);
