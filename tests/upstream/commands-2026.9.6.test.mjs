// The 2026.9.6 client's devices commands: exit codes and what they print are as recorded from its own gateway.
import assert from 'node:assert/strict';
import { NEWER } from './kit/cli.mjs';
import { recordingsOf, sameAsRecorded } from './kit/recordings.mjs';
import { story } from './kit/story.mjs';

const recording = recordingsOf(NEWER);

const UNKNOWN = '00000000-0000-4000-8000-000000000000';
const READ = ['operator.read'];
const WRITE = ['operator.read', 'operator.write'];
const REMOTE = { forwarded: '203.0.113.9', protocol: 4 };
const SETUP = { release: NEWER, gateway: { trustedProxies: ['127.0.0.1'] } };

story('devices list, approve, rename, rotate, revoke, reject and remove of 2026.9.6 answer as recorded', async (s, t) => {
  const home = s.newClientHome();
  const devices = (...args) => s.realFrom(home, 'devices', ...args);
  const asks = async (device, more = {}) =>
    (await s.mustPair({ device, scopes: WRITE, ...REMOTE, ...more }, 'not-paired')).requestId;
  const paired = async (device, more) => {
    const done = await devices('approve', await asks(device, more));
    assert.equal(done.code, 0, done.stderr);
    return ['--device', device.id, '--role', 'operator'];
  };
  const [phone, laptop, desktop, victim, mine] = [1, 2, 3, 4, 5].map(() => s.newDevice());
  let first;
  let second;

  await t.test('approve without an id shows the newest request and how to approve it, and does not', async () => {
    second = await asks(phone, { scopes: READ, client: { displayName: 'Alpha Phone', platform: 'ios', deviceFamily: 'iPhone' } });
    const run = await devices('approve');
    assert.ok(run.stdout.includes(second), run.stdout);
    first = await asks(laptop);
    sameAsRecorded(await devices('approve', '--latest'), recording('approve-latest'));
    sameAsRecorded(await devices('approve', '--latest', '--json'), recording('approve-latest-json'));
    assert.deepEqual((await s.listing()).paired, []);
  });

  await t.test('list with two requests, as a table and as JSON', async () => {
    sameAsRecorded(await devices('list'), recording('list-mixed'));
    const list = await devices('list', '--json');
    sameAsRecorded(list, recording('list-mixed-json'));
    for (const { reason, message, requestId } of JSON.parse(list.stdout).pending) {
      assert.equal(reason, 'not-paired');
      assert.ok(message.endsWith(`openclaw devices approve ${requestId}`), message);
    }
  });

  await t.test('approve <requestId>, and of an id that never was', async () => {
    sameAsRecorded(await devices('approve', first), recording('approve-id'));
    sameAsRecorded(await devices('approve', UNKNOWN), recording('approve-none-unknown'));
  });

  await t.test('reject, and reject of an id that never was', async () => {
    sameAsRecorded(await devices('reject', second), recording('reject'));
    sameAsRecorded(await devices('reject', 'nope', '--json'), recording('reject-json-unknown'));
  });

  await t.test('reject again: refused as recorded, but told what became of the request', async () => {
    const again = await devices('reject', second);
    assert.equal(again.code, recording('reject-again').rc);
    assert.match(again.stderr, /^\[openclaw\] Reason: .*rejected/m);
  });

  await t.test('remove, and remove of what is not there', async () => {
    sameAsRecorded(await devices('remove', laptop.id), recording('remove'));
    sameAsRecorded(await devices('remove', laptop.id), recording('remove-unknown'));
  });

  await t.test('rename', async () => {
    const ofMine = await paired(mine, { scopes: ['operator.pairing'], client: { displayName: 'pairing-only' } });
    sameAsRecorded(await devices('rename', '--device', mine.id, '--name', 'Mine'), renamed('Mine'));
    sameAsRecorded(await devices('revoke', ...ofMine), recording('revoke'));
  });

  const ofLaptop = ['--device', laptop.id, '--role', 'operator'];

  await t.test('list with four requests and four devices, renamed and revoked among them', async () => {
    await paired(victim, { scopes: READ, client: { displayName: 'victim' } });
    await paired(desktop);
    await paired(laptop);
    await asks(s.newDevice(), { scopes: ['operator.pairing'] });
    await asks(s.newDevice(), { scopes: ['operator.admin', ...WRITE] });
    await asks(s.newDevice(), { role: 'node', scopes: [], client: { id: 'node-host', mode: 'node' } });
    await asks(s.newDevice(), { scopes: READ });
    // The revoked device holds nothing of that role any more; its own gateway goes on listing the scopes.
    sameAsRecorded(await devices('list'), recording('list-paired'), (table) =>
      table.map((row) => (Array.isArray(row) && row[0] === 'Mine' ? row.with(row.indexOf('operator.pairing'), '') : row)),
    );
  });

  await t.test('rotate of another device: the token is not shown', async () => {
    sameAsRecorded(await devices('rotate', ...ofLaptop), recording('rotate'));
  });

  await t.test('rotate --scope beyond what was approved: an approval, since the client asks for admin', async () => {
    const wider = await devices('rotate', ...ofLaptop, '--scope', 'operator.read', '--scope', 'operator.admin');
    assert.equal(recording('rotate-scope').rc, 1);
    assert.equal(wider.code, 0, wider.stderr);
    assert.deepEqual(JSON.parse(wider.stdout).scopes.sort(), ['operator.admin', 'operator.read']);
  });

  await t.test('rotate of an unknown device', async () => {
    const unknown = await devices('rotate', '--device', 'nope', '--role', 'operator');
    assert.equal(unknown.code, recording('rotate-unknown').rc);
    assert.equal(JSON.parse(unknown.stdout).error.message, 'unknown deviceId');
  });

  await t.test('a wrong token', async () => {
    sameAsRecorded(await s.realWith(home, 'wrong', 'devices', 'list'), recording('bad-token'));
  });

  await t.test('the client itself was never paired: each of its connections stands under the rule localCli', async () => {
    const records = await s.journal();
    const { paired: known, pending } = await s.listing();
    assert.ok([...known, ...pending].every(({ clientId }) => clientId !== 'cli'));
    const own = records.filter(({ fields }) => fields.attempt?.client.id === 'cli' && fields.rule);
    assert.ok(own.length >= 20, `${own.length} admissions`);
    for (const { fields } of own) {
      assert.deepEqual([fields.rule, fields.attempt.proof], ['localCli', undefined]);
      assert.deepEqual(fields.scopes, fields.attempt.ask.scopes);
    }
  });

  await t.test('and so does each of its acts, with the scopes that it asked for', async () => {
    const acts = (await s.journal()).filter(({ event }) => ACTS.includes(event));
    assert.deepEqual([...new Set(acts.map(({ event }) => event))].sort(), ACTS);
    for (const { event, actor } of acts) assert.equal(actor.rule, 'localCli', event);
    const wider = acts.find(({ event, fields }) => event === 'PairingApproved' && fields.act === 'rotation');
    assert.deepEqual(wider.actor.scopes, ['operator.admin']);
  });
}, SETUP);

const ACTS = [
  'CommandRefused', 'DeviceRemoved', 'DeviceRenamed', 'PairingApproved', 'PairingRejected', 'TokenIssued', 'TokenRevoked',
  'TokenRotated',
];

/** The recorded renaming, to another name. */
function renamed(name) {
  const recorded = recording('rename');
  return { ...recorded, stdout: recorded.stdout.replace('Kitchen', name) };
}

story('devices clear of 2026.9.6 answers as recorded', async (s, t) => {
  const phone = s.newDevice();

  await t.test('clear --json of nothing', async () => {
    sameAsRecorded(await s.realFrom(s.home, 'devices', 'clear', '--yes', '--pending', '--json'), recording('clear-json'));
  });

  await t.test('clear, when a request goes with its device: it ends as recorded, but says why', async () => {
    const { requestId } = await s.mustPair({ device: phone, scopes: READ, ...REMOTE }, 'not-paired');
    assert.equal((await s.real('devices', 'approve', requestId)).code, 0);
    const upgrade = await s.mustPair({ device: phone, scopes: WRITE, ...REMOTE }, 'scope-upgrade');
    const cleared = await s.real('devices', 'clear', '--yes', '--pending');
    assert.equal(cleared.code, recording('clear').rc);
    const why = new RegExp(`^\\[openclaw\\] Reason: .*${upgrade.requestId}.* ended .* when .* was removed`, 'm');
    assert.match(cleared.stderr, why);
    assert.deepEqual(await s.listing(), { pending: [], paired: [] });
  });
}, SETUP);
