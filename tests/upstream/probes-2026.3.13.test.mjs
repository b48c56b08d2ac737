// Looking at a gateway must not change it.
import assert from 'node:assert/strict';
import { OLDER } from './kit/cli.mjs';
import { story } from './kit/story.mjs';
import { recordingsOf, sameShape } from './kit/recordings.mjs';

const recording = recordingsOf(OLDER);

story('the real health, gateway probe and status, before anything else, pair nothing', async (s, t) => {
  await t.test('health is as recorded', async () => {
    const run = await s.real('health', '--json');
    sameShape(run, recording('health-json'));
    assert.equal(JSON.parse(run.stdout).ok, true);
  });

  await t.test('gateway probe is as recorded: reachable, and limited by its scopes', async () => {
    const run = await s.real('gateway', 'probe', '--json');
    sameShape(run, recording('gateway-probe-json'));
    const said = JSON.parse(run.stdout);
    assert.deepEqual([said.ok, said.degraded], [true, true]);
    assert.equal(said.warnings[0].code, 'probe_scope_limited');
    assert.equal(said.targets[0].connect.error, 'missing scope: operator.read');
  });

  await t.test('status reaches the gateway', async () => {
    const run = await s.real('status');
    assert.equal(run.code, 0, run.stderr);
    assert.match(run.stdout, /missing scope: operator\.read/); // what it also says of a real gateway
  });

  await t.test('nothing is paired and nothing waits', async () => {
    assert.deepEqual(await s.listing(), { pending: [], paired: [] });
  });
});
