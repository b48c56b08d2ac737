// The real node host of 2026.9.6 and that release's command line for nodes: paired, put out, approved by a person.
import assert from 'node:assert/strict';
import { NEWER } from './kit/cli.mjs';
import { NodeHost } from './kit/node.mjs';
import { story } from './kit/story.mjs';

story('the node host of 2026.9.6 is put out, asks, and is approved by its own command line', async (s, t) => {
  const host = new NodeHost(s, NEWER, s.newClientHome(), 'Bench');
  const real = s.newClientHome();
  const nodes = async (...args) => {
    const done = await s.realFrom(real, 'nodes', ...args);
    assert.equal(done.code, 0, done.stderr);
    return JSON.parse(done.stdout);
  };
  let nodeId;

  await t.test('on the gateway host it is paired by rule, and its own command line lists it', async () => {
    host.start();
    const node = await host.listed('it is connected', ({ connected }) => connected);
    nodeId = node.nodeId;
    assert.deepEqual([node.platform, node.deviceFamily, node.approvalState], ['linux', 'Linux', 'approved']);
    assert.ok(['fs.listDir', 'system.run', 'terminal.upload'].every((name) => node.commands.includes(name)), node.commands);
    const seen = (await nodes('status', '--json')).nodes;
    assert.deepEqual(seen.map((entry) => [entry.nodeId, entry.connected, entry.commands]), [[nodeId, true, node.commands]]);
  });

  await t.test('what is not served it hears once, and leaves it', async () => {
    assert.doesNotMatch(host.running.errors(), /(runner inventory|skill|plugin tool) publish failed/);
  });

  await t.test('removed, it is put out, and asks', async () => {
    const removed = await s.ours('nodes', 'remove', '--node', 'Bench');
    assert.equal(removed.code, 0, removed.stderr);
    await host.says(/pairing required/);
    await host.stop();
  });

  await t.test('approved by its own command line, it is back', async () => {
    const [{ requestId, deviceId }] = (await s.listing()).pending;
    assert.equal(deviceId, nodeId);
    assert.equal((await nodes('approve', requestId, '--json')).node.nodeId, nodeId);
    host.start();
    await host.listed('it is back', ({ connected }) => connected);
    await host.stop();
  });
}, { release: NEWER });
