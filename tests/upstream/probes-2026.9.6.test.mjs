// Looking at a gateway must not change it: the 2026.9.6 client's health, status and probes.
import assert from 'node:assert/strict';
import { NEWER } from './kit/cli.mjs';
import { recordingsOf, sameShape } from './kit/recordings.mjs';
import { story } from './kit/story.mjs';

const recording = recordingsOf(NEWER);

story('health, status, gateway status and gateway probe of 2026.9.6, before anything else, pair nothing', async (s, t) => {
  const json = async (...args) => {
    const run = await s.real(...args, '--json');
    assert.equal(run.code, 0, run.stderr);
    return JSON.parse(run.stdout);
  };

  await t.test('health: as recorded, without what only OpenClaw runs', async () => {
    const { configReload, eventLoop, modelRuntime, ...rest } = JSON.parse(recording('health-json').stdout);
    assert.ok(configReload && eventLoop && modelRuntime);
    const run = await s.real('health', '--json');
    sameShape(run, { rc: 0, stdout: JSON.stringify(rest) });
    assert.equal(JSON.parse(run.stdout).ok, true);
    const text = await s.real('health');
    assert.equal(text.code, 0, text.stderr);
    assert.match(text.stdout, /^Agents: main \(default\)$/m);
  });

  await t.test('gateway status: the connection is as recorded', async () => {
    const recorded = JSON.parse(recording('gateway-status-json').stdout).rpc;
    const { rpc } = await json('gateway', 'status');
    const { buildId, ...server } = recorded.server;
    assert.ok(buildId); // the client's own build, which we have not
    assert.deepEqual(masked(rpc), masked({ ...recorded, server }));
  });

  await t.test('gateway probe is as recorded: reachable, and limited by its scopes', async () => {
    const recorded = JSON.parse(recording('gateway-probe-json').stdout);
    delete recorded.targets[0].server.buildId;
    const run = await s.real('gateway', 'probe', '--json');
    sameShape(run, { rc: 0, stdout: JSON.stringify(recorded) });
    const said = JSON.parse(run.stdout);
    assert.deepEqual([said.ok, said.degraded, said.capability], [true, true, recorded.capability]);
    assert.equal(said.warnings[0].code, 'probe_scope_limited');
    assert.equal(said.targets[0].connect.error, 'missing scope: operator.read');
  });

  await t.test('status reaches the gateway, and shows its journal', async () => {
    const text = await s.real('status');
    assert.equal(text.code, 0, text.stderr);
    assert.match(text.stdout, /reachable/);
    const status = await json('status');
    assert.deepEqual([status.gateway.reachable, status.collection.source], [true, 'gateway']);
    assert.equal(status.journal.id, (await s.journal())[0].fields.journal);
  });

  await t.test('nothing is paired and nothing waits, and who looked is on record', async () => {
    assert.deepEqual(await s.listing(), { pending: [], paired: [] });
    const admitted = (await s.journal()).filter(({ event }) => event === 'ConnectionAdmitted');
    const rules = new Set(admitted.map(({ fields }) => `${fields.rule} ${fields.attempt.client.mode}: ${fields.scopes}`));
    assert.deepEqual([...rules].sort(), [
      'localBackend backend: operator.read', 'localCli cli: operator.read', 'probe probe: ',
    ]);
  });

  await t.test('without a gateway, devices list says that there is none, and exits 1', async () => {
    await s.gateway.stop();
    const run = await s.real('devices', 'list');
    assert.equal(run.code, 1);
    assert.match(run.stderr, /not reachable|ECONNREFUSED/);
  });
}, { release: NEWER });

/** Without what changes from run to run. */
function masked(rpc) {
  return { ...rpc, url: '<url>', server: { ...rpc.server, connId: '<id>' } };
}
