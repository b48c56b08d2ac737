// The real node host of 2026.3.13, and that release's command line for nodes: paired, put out, approved, after a restart.
import assert from 'node:assert/strict';
import { OLDER } from './kit/cli.mjs';
import { deviceOf } from './kit/client.mjs';
import { NodeHost } from './kit/node.mjs';
import { within } from './kit/scratch.mjs';
import { story } from './kit/story.mjs';

const COMMANDS = [
  'browser.proxy',
  'system.execApprovals.get',
  'system.execApprovals.set',
  'system.run',
  'system.run.prepare',
  'system.which',
];

story('the node host of 2026.3.13 is put out, approved by its own command line, and paired after a restart', async (s, t) => {
  const home = s.newClientHome();
  const admin = s.newClientHome();
  const host = new NodeHost(s, OLDER, home, 'Bench');
  let nodeId;

  await t.test('on the gateway host it is paired by rule, and listed with what it may offer', async () => {
    host.start();
    const node = await host.listed('it is connected', ({ connected }) => connected);
    nodeId = node.nodeId;
    assert.deepEqual([node.platform, node.paired, node.approvalState], ['linux', true, 'approved']);
    assert.deepEqual([node.caps, node.commands], [['browser', 'system'], COMMANDS]);
  });

  await t.test('removed, it is put out, and the next time it asks', async () => {
    const removed = await s.ours('nodes', 'remove', '--node', 'Bench');
    assert.equal(removed.code, 0, removed.stderr);
    // This release ends with its connection.
    await within(20000, 'the node host ends', host.running.done);
    host.start();
    await host.says(/pairing required/);
    const [request] = (await s.listing()).pending;
    assert.deepEqual([request.deviceId, request.role, request.reason], [nodeId, 'node', 'not-paired']);
    assert.deepEqual(request.commands.toSorted(), COMMANDS);
    await within(20000, 'the node host ends', host.running.done);
  });

  await t.test('its own command line finds that request by the name of nodes, and approves it', async () => {
    const nodes = async (...args) => {
      const done = await s.realFrom(admin, 'nodes', ...args);
      assert.equal(done.code, 0, done.stderr);
      return JSON.parse(done.stdout);
    };
    const [{ requestId, ...request }] = await nodes('pending', '--json');
    assert.equal(request.nodeId, nodeId);
    assert.equal((await nodes('approve', requestId, '--json')).node.nodeId, nodeId);
  });

  await t.test('after a restart of the gateway it is paired, and comes back', async () => {
    const { port } = s.gateway;
    await s.gateway.stop();
    await s.gateway.startOn(port);
    host.start();
    const node = await host.listed('it is back', ({ connected }) => connected);
    assert.deepEqual([node.nodeId, node.commands], [nodeId, COMMANDS]);
    await host.stop();
    await host.listed('it is away', ({ connected, paired }) => paired && !connected);
  });

  await t.test('its key with another platform needs a person, and brings no other commands', async () => {
    const swapped = { device: deviceOf(home), role: 'node', commands: ['system.run', 'photos.latest'] };
    const client = { id: 'node-host', mode: 'node', displayName: 'Bench' };
    const { requestId } = await s.mustPair({ ...swapped, client: { ...client, platform: 'ios' } }, 'metadata-upgrade');
    const { pending } = await s.listing();
    assert.deepEqual(pending.map((entry) => [entry.requestId, entry.platformChange]), [[requestId, { from: 'linux', to: 'ios' }]]);
    assert.equal((await s.ours('nodes', 'reject', requestId)).code, 0);
    await s.admitted({ ...swapped, client });
    const node = await host.listed('it is connected', ({ connected }) => connected);
    assert.deepEqual([node.platform, node.commands], ['linux', ['system.run']]);
  });
});
