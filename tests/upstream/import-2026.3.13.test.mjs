// A real 2026.3.13 gateway pairs its own CLI and a device from afar. What it kept is taken over, and both come back as they are.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { OLDER, runReal } from './kit/cli.mjs';
import { connect, deviceOf } from './kit/client.mjs';
import { RealGateway, tree } from './kit/real.mjs';
import { story } from './kit/story.mjs';

const AFAR = { host: 'gateway.example' };
const READ = ['operator.read'];

/** The real gateway on the story's port; its CLI and another device are paired. Gives what they have. */
async function paired(s, t) {
  await s.gateway.stop();
  const real = new RealGateway(OLDER, s.gateway.token);
  const port = { OPENCLAW_GATEWAY_PORT: String(s.gateway.port) };
  const device = s.newDevice();
  let deviceToken;
  try {
    await real.startOn(s.gateway.port);
    const cli = async (...args) => {
      const done = await runReal(OLDER, real.home, args, port);
      assert.equal(done.code, 0, done.stderr);
      return JSON.parse(done.stdout);
    };
    await t.test('the real gateway pairs its own CLI', async () => {
      const { paired } = await cli('devices', 'list', '--json');
      assert.deepEqual(paired.map((entry) => entry.deviceId), [deviceOf(real.home).id]);
    });
    await t.test('and a device from afar', async () => {
      const asks = { device, auth: { token: real.token }, scopes: READ, ...AFAR };
      const refused = await connect(s.url, asks);
      assert.equal(refused.error?.details?.code, 'PAIRING_REQUIRED');
      await cli('devices', 'approve', refused.error.details.requestId, '--json');
      const peer = await connect(s.url, asks);
      deviceToken = peer.hello.auth.deviceToken;
      s.secrets.add(deviceToken);
      await peer.close();
    });
  } finally {
    await real.stop();
  }
  return { real, device, deviceToken };
}

async function takenOver(s, ...args) {
  const done = await s.ours('import', ...args, '--yes', '--json');
  assert.equal(done.code, 0, done.stderr);
  return JSON.parse(done.stdout);
}

/** Nobody was approved or asked anything. */
async function nobodyWasAsked(s) {
  const events = (await s.journal()).map(({ event }) => event);
  assert.deepEqual(events.filter((event) => event.startsWith('Pairing')), []);
  assert.equal(events.filter((event) => event === 'DeviceImported').length, 2);
}

story('what a real 2026.3.13 gateway kept is taken over by one that runs', async (s, t) => {
  const { real, device, deviceToken } = await paired(s, t);
  const before = tree(real.state);
  await s.gateway.startOn(s.gateway.port);

  await t.test('both devices, and the source stays as it was', async () => {
    const { imported } = await takenOver(s, real.state);
    assert.deepEqual(imported.sort(), [device.id, deviceOf(real.home).id].sort());
    assert.deepEqual(tree(real.state), before);
  });

  await t.test('the device from afar is let in with the token that it has', async () => {
    const peer = await s.admitted({ device, auth: { deviceToken }, scopes: READ, ...AFAR });
    assert.deepEqual(peer.hello.auth, { ...peer.hello.auth, deviceToken, role: 'operator', scopes: READ });
  });

  // This release sends a device token where others send the shared one.
  await t.test('and so is the real CLI', async () => {
    const home = s.newClientHome();
    fs.cpSync(path.join(real.state, 'identity'), path.join(home, '.openclaw/identity'), { recursive: true });
    const config = { plugins: { enabled: false }, gateway: { mode: 'remote', remote: { url: s.url } } };
    fs.writeFileSync(path.join(home, '.openclaw/openclaw.json'), JSON.stringify(config), { mode: 0o600 });
    s.keepSecretsSeen();
    const list = await s.realAsConfigured(home, 'devices', 'list', '--json');
    assert.equal(list.code, 0, list.stderr);
    assert.equal(JSON.parse(list.stdout).paired.length, 2);
    const { attempt } = (await s.journal()).findLast(({ event }) => event === 'ConnectionAdmitted').fields;
    assert.deepEqual([attempt.proof.device, attempt.credential.shared, attempt.credential.token], [deviceOf(home).id, 'wrong', 'live']);
  });

  await t.test('a second time there is nothing new', async () => {
    const { length } = await s.journal();
    const { imported } = await takenOver(s, real.state);
    assert.deepEqual(imported, []);
    assert.equal((await s.journal()).length, length);
    await nobodyWasAsked(s);
  });

  await t.test('a token is replaced by one of ours when it is rotated', async () => {
    const rotated = await s.ours('devices', 'rotate', '--device', device.id, '--role', 'operator');
    assert.equal(rotated.code, 0, rotated.stderr);
    const refused = await s.connect({ device, auth: { deviceToken }, scopes: READ, ...AFAR });
    assert.equal(refused.error?.details?.code, 'AUTH_DEVICE_TOKEN_MISMATCH');
    const peer = await s.admitted({ device, scopes: READ, ...AFAR });
    assert.notEqual(peer.hello.auth.deviceToken, deviceToken);
  });
});

story('what a real 2026.3.13 gateway kept is taken over where it lies, before ours ever ran there', async (s, t) => {
  const { real, device, deviceToken } = await paired(s, t);
  const original = fs.readFileSync(path.join(real.state, 'devices/paired.json'));
  s.moveTo(real.home);

  await t.test('both devices, while nothing runs', async () => {
    const { imported } = await takenOver(s);
    assert.equal(imported.length, 2);
  });

  await t.test('what OpenClaw wrote is put aside for our copy', () => {
    assert.deepEqual(fs.readFileSync(path.join(real.state, 'devices/paired.openclaw.json')), original);
    assert.ok(!fs.readFileSync(path.join(real.state, 'devices/paired.json'), 'utf8').includes('token'));
  });

  await t.test('the real CLI goes on, as it is configured', async () => {
    await s.gateway.startOn(s.gateway.port);
    const list = await s.real('devices', 'list', '--json');
    assert.equal(list.code, 0, list.stderr);
    assert.equal(JSON.parse(list.stdout).paired.length, 2);
  });

  await t.test('and so does the device from afar', async () => {
    await s.admitted({ device, auth: { deviceToken }, scopes: READ, ...AFAR });
    await nobodyWasAsked(s);
  });
});
