// The real client's devices commands: exit codes and what they print are as recorded from the real gateway.
import assert from 'node:assert/strict';
import { OLDER } from './kit/cli.mjs';
import { story } from './kit/story.mjs';
import { recordingsOf, sameAsRecorded } from './kit/recordings.mjs';

const recording = recordingsOf(OLDER);

const UNKNOWN = '00000000-0000-4000-8000-000000000000';
const WRITE = ['operator.read', 'operator.write'];

story('devices approve, reject, remove, rotate and revoke answer as recorded', async (s, t) => {
  const home = s.newClientHome();
  const devices = (...args) => s.realFrom(home, 'devices', ...args);
  const remote = { host: 'gw.example.test' };
  const asks = async (device, more = {}) =>
    (await s.mustPair({ device, scopes: WRITE, ...remote, ...more }, 'not-paired')).requestId;
  const phone = s.newDevice();
  const laptop = s.newDevice();
  const desktop = s.newDevice();
  const stranger = s.newDevice();
  let refused;

  await t.test('approve with nothing pending', async () => {
    sameAsRecorded(await devices('approve'), recording('approve-empty'));
  });

  await t.test('list with two requests, as a table and as JSON', async () => {
    const iPhone = { displayName: 'Alpha Phone', platform: 'ios', deviceFamily: 'iPhone' };
    await asks(phone, { scopes: ['operator.read'], client: iPhone });
    await asks(laptop);
    sameAsRecorded(await devices('list'), recording('list-mixed'));
    const list = await devices('list', '--json');
    sameAsRecorded(list, recording('list-mixed-json'));
    for (const { reason, message, requestId } of JSON.parse(list.stdout).pending) {
      assert.equal(reason, 'not-paired');
      assert.ok(message.endsWith(`openclaw devices approve ${requestId}`), message);
    }
  });

  await t.test('approve --latest takes the newest, approve the one that is left', async () => {
    const latest = await devices('approve', '--latest');
    sameAsRecorded(latest, recording('approve-latest'));
    assert.ok(latest.stdout.includes(laptop.id), latest.stdout);
    const last = await devices('approve');
    sameAsRecorded(last, recording('approve-noarg'));
    assert.ok(last.stdout.includes(phone.id), last.stdout);
  });

  await t.test('approve <requestId> --json, and approve of an id that never was', async () => {
    sameAsRecorded(await devices('approve', await asks(desktop), '--json'), recording('approve-json'));
    sameAsRecorded(await devices('approve', UNKNOWN), recording('approve-none-unknown'));
  });

  const ofDesktop = ['--device', desktop.id, '--role', 'operator'];

  await t.test('rotate of another device: as recorded, but the token is not shown', async () => {
    const rotated = await devices('rotate', ...ofDesktop);
    sameAsRecorded(rotated, recording('rotate'), ({ token, ...rest }) => rest);
    assert.equal(JSON.parse(rotated.stdout).tokenDelivery, 'withheld-cross-device');
  });

  await t.test('rotate --scope beyond what was approved: an approval, since the caller is an admin', async () => {
    const wider = await devices('rotate', ...ofDesktop, '--scope', 'operator.read', '--scope', 'operator.admin');
    assert.equal(recording('rotate-scope').rc, 1);
    assert.equal(wider.code, 0, wider.stderr);
    assert.deepEqual(JSON.parse(wider.stdout).scopes.sort(), ['operator.admin', 'operator.read']);
  });

  await t.test('rotate of an unknown device', async () => {
    const unknown = await devices('rotate', '--device', 'nope', '--role', 'operator');
    assert.equal(unknown.code, recording('rotate-unknown').rc);
    assert.match(unknown.stderr, /GatewayClientRequestError: unknown deviceId$/m);
  });

  await t.test('revoke', async () => {
    sameAsRecorded(await devices('revoke', ...ofDesktop), recording('revoke'));
  });

  await t.test('remove, and remove of what is not there', async () => {
    sameAsRecorded(await devices('remove', desktop.id), recording('remove'));
    sameAsRecorded(await devices('remove', s.newDevice().id), recording('remove-unknown'));
  });

  await t.test('reject, and reject of an id that never was', async () => {
    refused = await asks(stranger);
    sameAsRecorded(await devices('reject', refused), recording('reject'));
    sameAsRecorded(await devices('reject', 'nope', '--json'), recording('reject-json-unknown'));
  });

  await t.test('reject again: refused as recorded, but told what became of the request', async () => {
    const again = await devices('reject', refused);
    assert.equal(again.code, recording('reject-again').rc);
    assert.match(again.stderr, /^\[openclaw\] Failed to start CLI: GatewayClientRequestError: .*rejected/);
  });

  await t.test('a wrong token', async () => {
    sameAsRecorded(await s.realWith(s.newClientHome(), 'wrong', 'devices', 'list'), recording('bad-token'));
  });
});

story('devices list and devices clear answer as recorded, until the client has removed itself', async (s, t) => {
  const home = s.newClientHome();
  const devices = (...args) => s.realFrom(home, 'devices', ...args);
  const cli = { id: 'cli', mode: 'cli' };
  const older = [s.newDevice(), s.newDevice()];
  const newer = s.newDevice();
  const ids = ({ paired }) => paired.map(({ deviceId }) => deviceId);
  let self;

  await t.test('list with three devices, as a table and as JSON', async () => {
    for (const device of older) await s.admitted({ device, client: cli, scopes: ['operator.read'] });
    sameAsRecorded(await devices('list'), recording('list-first'));
    const list = await devices('list', '--json');
    sameAsRecorded(list, recording('list-json'));
    self = JSON.parse(list.stdout).paired.find(({ deviceId }) => older.every(({ id }) => id !== deviceId)).deviceId;
  });

  await t.test('clear stops where it has removed its own device: what was removed is not let in silently', async () => {
    await s.admitted({ device: newer, client: cli, scopes: ['operator.read'] });
    const cleared = await devices('clear', '--yes', '--pending');
    assert.equal(recording('clear').rc, 0);
    assert.equal(cleared.code, 1);
    assert.match(cleared.stderr, /gateway closed \(1008\): pairing required/);
    const after = await s.listing();
    assert.deepEqual(ids(after).sort(), older.map(({ id }) => id).sort());
    assert.deepEqual(after.pending.map(({ deviceId }) => deviceId), [self]);
  });

  await t.test('clear --json, when its own device is the only one', async () => {
    for (const { id } of older) assert.equal((await s.ours('devices', 'remove', id)).code, 0);
    assert.equal((await s.ours('devices', 'approve')).code, 0);
    const cleared = await devices('clear', '--yes', '--pending', '--json');
    sameAsRecorded(cleared, recording('clear-json'));
    assert.deepEqual(JSON.parse(cleared.stdout).removedDevices, [self]);
  });
});
