// The real client's logs: its lines come out of our journal, in the shape that it knows.
import assert from 'node:assert/strict';
import { OLDER } from './kit/cli.mjs';
import { story } from './kit/story.mjs';
import { jsonLines, recordingsOf, shape } from './kit/recordings.mjs';
import { until } from './kit/scratch.mjs';

const recording = recordingsOf(OLDER);

/** The shape of the first line of this type. */
const first = (text, type) => shape(jsonLines(text).find((line) => line.type === type));

story('logs and logs --follow of the real client print what is recorded, from the journal', async (s, t) => {
  const home = s.newClientHome();

  await t.test('logs --json', async () => {
    const recorded = recording('logs');
    const logs = await s.realFrom(home, 'logs', '--json', '--limit', '3');
    assert.equal(logs.code, recorded.rc, logs.stderr);
    for (const type of ['meta', 'log']) assert.deepEqual(first(logs.stdout, type), first(recorded.stdout, type));
    assert.equal(jsonLines(logs.stdout).filter(({ type }) => type === 'log').length, 3);
  });

  await t.test('logs in plain text', async () => {
    const recorded = recording('logs-plain');
    const logs = await s.realFrom(home, 'logs', '--limit', '3');
    assert.equal(logs.code, recorded.rc, logs.stderr);
    const form = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (info|warn|error) gateway\S* \S/;
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
      const ask = { device, scopes: ['operator.read'], host: 'gw.example.test' };
      const { requestId } = await s.mustPair(ask, 'not-paired');
      await until('it prints what happens', () => running.output().includes(requestId), 30000);
    }
    await running.stop();
    const lines = jsonLines(whole(running.output()));
    for (const type of ['meta', 'log']) assert.deepEqual(first(running.output(), type), first(recorded, type));
    assert.equal(lines.filter(({ type }) => type === 'meta').length, 1);
    const raw = lines.filter(({ type }) => type === 'log').map((line) => line.raw);
    assert.equal(new Set(raw).size, raw.length, 'a line was printed twice');
  });
});

/** The output without a last line that is still being written. */
function whole(text) {
  return text.slice(0, text.lastIndexOf('\n') + 1);
}
