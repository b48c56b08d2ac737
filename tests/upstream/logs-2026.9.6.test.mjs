// The 2026.9.6 client's logs: its lines come out of our journal, in the shape that it knows.
import assert from 'node:assert/strict';
import path from 'node:path';
import { NEWER } from './kit/cli.mjs';
import { jsonLines, recordingsOf, shape } from './kit/recordings.mjs';
import { until } from './kit/scratch.mjs';
import { story } from './kit/story.mjs';

const recording = recordingsOf(NEWER);

/** The shape of the first line of this type. */
const first = (text, type) => shape(jsonLines(text).find((line) => line.type === type));

story('logs and logs --follow of 2026.9.6 print what is recorded, from the journal', async (s, t) => {
  const home = s.newClientHome();

  await t.test('logs --json', async () => {
    const recorded = recording('logs');
    const logs = await s.realFrom(home, 'logs', '--json', '--limit', '2');
    assert.equal(logs.code, recorded.rc, logs.stderr);
    for (const type of ['meta', 'log', 'notice']) assert.deepEqual(first(logs.stdout, type), first(recorded.stdout, type));
    const [meta, ...lines] = jsonLines(logs.stdout);
    assert.equal(meta.file, path.join(s.gateway.state, 'journal'));
    assert.equal(lines.filter(({ type }) => type === 'log').length, 2);
  });

  await t.test('logs in plain text', async () => {
    const recorded = recording('logs-plain');
    const logs = await s.realFrom(home, 'logs', '--limit', '3');
    assert.equal(logs.code, recorded.rc, logs.stderr);
    assert.equal(logs.stderr, recorded.stderr);
    const form = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 (info|warn|error) gateway\S* [^\s{]/;
    for (const text of [recorded.stdout, logs.stdout]) {
      const [head, ...lines] = text.trimEnd().split('\n');
      assert.match(head, /^Log file: \S/);
      assert.equal(lines.length, 3);
      for (const line of lines) assert.match(line, form);
    }
  });

  await t.test('logs --follow shows what happens later, once', async () => {
    const recorded = recording('logs-follow').stdout;
    const running = s.startRealFrom(home, 'logs', '--follow', '--interval', '500', '--limit', '20', '--json');
    await until('it prints what is there', () => running.output().includes('"type":"log"'), 30000);
    for (const device of [s.newDevice(), s.newDevice()]) {
      const ask = { device, scopes: ['operator.read'], host: 'gw.example.test', protocol: 4 };
      const { requestId } = await s.mustPair(ask, 'not-paired');
      await until('it prints what happens', () => running.output().includes(requestId), 30000);
    }
    await running.stop();
    const text = running.output();
    const lines = jsonLines(text.slice(0, text.lastIndexOf('\n') + 1));
    for (const type of ['meta', 'log']) assert.deepEqual(first(text, type), first(recorded, type));
    const raw = lines.filter(({ type }) => type === 'log').map((line) => line.raw);
    assert.equal(new Set(raw).size, raw.length, 'a line was printed twice');
  });

  await t.test('with --url it is the command line, on its own gateway a helper, and the journal tells them apart', async () => {
    const logs = await s.real('logs', '--json');
    assert.equal(logs.code, 0, logs.stderr);
    const under = new Map();
    for (const { fields } of await s.journal()) {
      if (!fields.rule) continue;
      const { client, proof } = fields.attempt;
      under.set(fields.rule, `${client.id} ${client.mode} ${proof ? 'with' : 'without'} a device: ${fields.scopes}`);
    }
    assert.deepEqual(Object.fromEntries(under), {
      localCli: 'cli cli without a device: operator.read',
      localBackend: 'gateway-client backend without a device: operator.read',
    });
  });
}, { release: NEWER });
