// A real 2026.9.6 gateway pairs the CLI of another machine and a device. What it kept is taken over, and both come back as they are.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { NEWER, runReal } from './kit/cli.mjs';
import { connect } from './kit/client.mjs';
import { RealGateway, tree } from './kit/real.mjs';
import { privateAddress } from './kit/scratch.mjs';
import { story } from './kit/story.mjs';

const address = privateAddress();
const SETUP = {
  release: NEWER,
  gateway: { customBindHost: address },
  skip: address ? false : 'this machine has no private address, and no network of our own could be made',
};
const READ = ['operator.read'];
const HELPER = { id: 'gateway-client', mode: 'backend' };

/** The real gateway on the story's port; a CLI elsewhere and another device are paired. Gives what they have. */
async function paired(s, t) {
  await s.gateway.stop();
  const real = new RealGateway(NEWER, s.gateway.token);
  const home = s.newClientHome();
  const device = s.newDevice();
  let deviceToken;
  try {
    await real.startOn(s.gateway.port);
    const approve = async (requestId) => {
      const url = `ws://127.0.0.1:${s.gateway.port}`;
      const asks = { client: HELPER, auth: { token: real.token }, scopes: ['operator.admin'], protocol: 4 };
      const owner = await connect(url, asks);
      const approved = await owner.request('device.pair.approve', { requestId });
      assert.ok(approved.ok, JSON.stringify(approved));
      await owner.close();
    };
    await t.test('the real gateway pairs its CLI on another machine', async () => {
      const logs = () => s.realWith(home, real.token, 'logs', '--limit', '1');
      const refused = await logs();
      const [, requestId] = /requestId: ([0-9a-f-]{36})/.exec(refused.stderr) ?? assert.fail(refused.stderr);
      await approve(requestId);
      const let_in = await logs();
      assert.equal(let_in.code, 0, let_in.stderr);
    });
    await t.test('and a device from afar', async () => {
      const asks = { device, auth: { token: real.token }, scopes: READ, protocol: 4 };
      const refused = await connect(s.url, asks);
      assert.equal(refused.error?.details?.code, 'PAIRING_REQUIRED');
      await approve(refused.error.details.requestId);
      const peer = await connect(s.url, asks);
      deviceToken = peer.hello.auth.deviceToken;
      s.secrets.add(deviceToken);
      await peer.close();
    });
  } finally {
    await real.stop();
  }
  return { real, home, device, deviceToken };
}

async function takenOver(s, ...args) {
  const done = await s.ours('import', ...args, '--yes', '--json');
  assert.equal(done.code, 0, done.stderr);
  return JSON.parse(done.stdout);
}

story('what a real 2026.9.6 gateway kept is taken over, and both devices go on', async (s, t) => {
  const { real, home, device, deviceToken } = await paired(s, t);
  const before = tree(real.state);
  await s.gateway.startOn(s.gateway.port);

  await t.test('both devices, and the source stays as it was', async () => {
    const { imported, remarks } = await takenOver(s, real.state);
    assert.equal(imported.length, 2);
    assert.ok(imported.includes(device.id));
    assert.deepEqual(remarks, []);
    assert.deepEqual(tree(real.state), before);
  });

  await t.test('the device from afar is let in with the token that it has', async () => {
    const peer = await s.admitted({ device, auth: { deviceToken }, scopes: READ, protocol: 4 });
    assert.equal(peer.hello.auth.deviceToken, deviceToken);
  });

  await t.test('and so is the real CLI, which knows nothing else', async () => {
    s.keepSecretsSeen();
    const config = { plugins: { enabled: false }, gateway: { mode: 'remote', remote: { url: s.url } } };
    fs.writeFileSync(path.join(home, '.openclaw/openclaw.json'), JSON.stringify(config));
    const logs = await s.realAsConfigured(home, 'logs', '--limit', '1');
    assert.equal(logs.code, 0, logs.stderr);
    const { attempt } = (await s.journal()).findLast(({ event }) => event === 'ConnectionAdmitted').fields;
    assert.notEqual(attempt.proof.device, device.id);
    assert.deepEqual([attempt.credential.shared, attempt.credential.token], ['missing', 'live']);
  });

  await t.test('a second time there is nothing new, and nobody was asked', async () => {
    const { length } = await s.journal();
    const { imported } = await takenOver(s, real.state);
    assert.deepEqual(imported, []);
    const events = (await s.journal()).map(({ event }) => event);
    assert.equal(events.length, length);
    assert.deepEqual(events.filter((event) => event.startsWith('Pairing')), []);
    assert.equal(events.filter((event) => event === 'DeviceImported').length, 2);
  });
}, SETUP);

story('what a real 2026.9.6 gateway kept is taken over where it lies, before ours ever ran there', async (s, t) => {
  const { real, device, deviceToken } = await paired(s, t);
  const database = tree(path.join(real.state, 'state'));
  s.moveTo(real.home);

  await t.test('both devices, while nothing runs', async () => {
    const { imported } = await takenOver(s);
    assert.equal(imported.length, 2);
    assert.deepEqual(tree(path.join(real.state, 'state')), database);
  });

  await t.test('the CLI of its own host goes on, and the device from afar', async () => {
    await s.gateway.startOn(s.gateway.port);
    const port = { OPENCLAW_GATEWAY_PORT: String(s.gateway.port) };
    const list = s.heard(await runReal(NEWER, real.home, ['devices', 'list', '--json'], port));
    assert.equal(list.code, 0, list.stderr);
    assert.equal(JSON.parse(list.stdout).paired.length, 2);
    await s.admitted({ device, auth: { deviceToken }, scopes: READ, protocol: 4 });
    const events = (await s.journal()).map(({ event }) => event);
    assert.deepEqual(events.filter((event) => event.startsWith('Pairing')), []);
  });
}, SETUP);
