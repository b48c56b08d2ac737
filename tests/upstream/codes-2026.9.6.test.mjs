// Setup codes of ours in the hands of the real 2026.9.6: its node host pairs by a join URL and by a setup code, with no secret of
// the gateway's; a code that is spent lets nobody in; and its own `devices join-code` makes one of ours.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { NEWER, runOurs, runReal, startReal } from './kit/cli.mjs';
import { privateAddress, until, within } from './kit/scratch.mjs';
import { story } from './kit/story.mjs';

/** What our command line says of a code that it makes; the code's text is then looked for everywhere else. */
async function makes(s, ...args) {
  const { code, stdout, stderr } = await runOurs(s.home, [...args, '--json'], s.port);
  assert.equal(code, 0, stderr);
  return kept(s, JSON.parse(stdout));
}

function kept(s, made) {
  const { bootstrapToken, url } = JSON.parse(Buffer.from(made.setupCode, 'base64url'));
  assert.match(bootstrapToken, /^[A-Za-z0-9_-]{22}$/);
  assert.equal(url, made.gatewayUrl);
  s.secrets.add(bootstrapToken);
  return made;
}

/** The real node host, which knows nothing but what it is given here. */
function joins(s, target) {
  const running = startReal(NEWER, s.newClientHome(), ['connect', target, '--display-name', 'Bench']);
  running.done.then((result) => s.heard(result));
  const end = () => within(20000, 'the node host ends', running.stop());
  return { ...running, end };
}

async function connected(s, running) {
  const isConnected = (device) => device.displayName === 'Bench' && device.connected;
  const found = async () => (await s.listing()).paired.find(isConnected);
  try {
    return await until('the node host is connected', found, 60000);
  } catch (error) {
    throw new Error(`${error.message}:\n${running.output()}\n${running.errors()}`);
  }
}

const here = { release: NEWER };

story('the node host of 2026.9.6 pairs by a join URL of ours, once', async (s, t) => {
  const made = await makes(s, 'devices', 'join-code', '--public-url', s.url, '--label', 'bench');
  assert.equal(made.joinUrl.split('/j/')[0], s.url.replace('ws:', 'http:'));
  assert.equal(made.command, `npx openclaw connect ${made.joinUrl}`);

  await t.test('it is let in as a node, with a token of its own, and nobody was asked', async () => {
    const running = joins(s, made.joinUrl);
    const node = await connected(s, running);
    assert.deepEqual([node.roles, node.scopes], [['node'], []]);
    assert.deepEqual((await s.listing()).pending, []);
    const events = (await s.journal()).map(({ event }) => event);
    assert.equal(events.filter((event) => event === 'SetupCodeSpent').length, 1);
    const { rule, attempt } = (await s.journal()).findLast(({ event }) => event === 'ConnectionAdmitted').fields;
    assert.deepEqual([rule, attempt.credential.shared, attempt.credential.token], ['setupCode', 'missing', 'setup code']);
    await running.end();
  });

  await t.test('another one with the same URL is not', async () => {
    const running = joins(s, made.joinUrl);
    const { code, stderr } = await within(60000, 'the second node host ends', running.done);
    assert.equal(code, 1);
    assert.match(stderr, /not found or has expired/);
    assert.equal((await s.listing()).paired.length, 1);
  });
}, here);

story('the node host of 2026.9.6 comes back with the token that a code gave it', async (s, t) => {
  const { setupCode } = await makes(s, 'qr', '--url', s.url, '--role', 'node');
  const home = s.newClientHome();
  const start = (args) => {
    const running = startReal(NEWER, home, args);
    running.done.then((result) => s.heard(result));
    return running;
  };
  await t.test('by a setup code', async () => {
    const running = start(['connect', setupCode, '--display-name', 'Bench']);
    await connected(s, running);
    await within(20000, 'the node host ends', running.stop());
  });
  await t.test('and without one', async () => {
    s.keepSecretsSeen();
    const running = start(['node', 'run', '--host', '127.0.0.1', '--port', String(s.gateway.port)]);
    await connected(s, running);
    const { attempt } = (await s.journal()).findLast(({ event }) => event === 'ConnectionAdmitted').fields;
    assert.equal(attempt.credential.token, 'live');
    await within(20000, 'the node host ends', running.stop());
  });
}, here);

const address = privateAddress();

story('a setup code leads the node host of 2026.9.6 to a gateway on another machine', async (s) => {
  const { setupCode, gatewayUrl, urlSource } = await makes(s, 'qr', '--role', 'node');
  assert.deepEqual([gatewayUrl, urlSource], [s.url, 'gateway.bind=custom']);
  const running = joins(s, `oc-pair://${setupCode}`);
  assert.equal((await connected(s, running)).remoteIp, address);
  await running.end();
}, { ...here, gateway: { customBindHost: address }, skip: address ? false : 'this machine has no private address' });

story('`devices join-code` of 2026.9.6 makes a code of ours', async (s) => {
  const args = ['devices', 'join-code', '--json'];
  const refused = await s.real(...args);
  assert.equal(refused.code, 1);
  assert.match(refused.stdout + refused.stderr, /loopback only/);
  // The address that codes say is configured, and the gateway starts again where it was.
  const config = JSON.parse(fs.readFileSync(s.gateway.configFile, 'utf8'));
  config.gateway.remote = { url: s.url };
  fs.writeFileSync(s.gateway.configFile, JSON.stringify(config), { mode: 0o600 });
  await s.gateway.stop();
  await s.gateway.startOn(s.gateway.port);
  const { code, stdout, stderr } = await runReal(NEWER, s.home, args, s.port);
  assert.equal(code, 0, stderr);
  const { joinUrl, command } = JSON.parse(stdout);
  assert.ok(joinUrl.startsWith(`${s.url.replace('ws:', 'http:')}/j/`), joinUrl);
  assert.ok(command.endsWith(joinUrl), command);
  s.secrets.add(joinUrl.split('/j/')[1]);
  const running = joins(s, joinUrl);
  await connected(s, running);
  await running.end();
}, here);
