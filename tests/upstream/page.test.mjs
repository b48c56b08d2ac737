// The page that people land on, "gateway closed (1008): pairing required", played through.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { NEWER, OLDER } from './kit/cli.mjs';
import { story } from './kit/story.mjs';

const READ = ['operator.read'];
const WRITE = ['operator.read', 'operator.write'];

for (const approver of [OLDER, NEWER, 'ours']) {
  const isReal = approver !== 'ours';
  const openclaw = (s) => (...args) => s[isReal ? 'real' : 'ours'](...args);
  const who = isReal ? `the real client ${approver}` : 'our own command line';
  const protocol = approver === NEWER ? 4 : 3;

  story(
    `the page story, with ${who} as the approver`,
    async (s, t) => {
      const run = openclaw(s);
      const json = async (...args) => {
        const done = await run(...args, '--json');
        assert.equal(done.code, 0, done.stderr);
        return JSON.parse(done.stdout);
      };
      const phone = s.newDevice();
      const tablet = s.newDevice();
      const asks = (device, scopes, auth) => ({ device, scopes, protocol, ...(auth && { auth }) });
      let request;
      let token;

      await t.test('(a) the first local use of the real client pairs where it shows a device, and its list shows it', async () => {
        const list = await s.real('devices', 'list', '--json');
        assert.equal(list.code, 0, list.stderr);
        const { pending, paired } = JSON.parse(list.stdout);
        assert.deepEqual(pending, []);
        if (approver === NEWER) return assert.deepEqual(paired, []);
        assert.deepEqual(paired.map((device) => device.deviceId), [identityOf(s)]);
        assert.deepEqual([...paired[0].scopes].sort(), ALL);
      });

      await t.test('(b) a device known with operator.read that asks for operator.write is refused', async () => {
        await s.admitted(asks(phone, READ));
        await s.admitted(asks(tablet, READ));
        request = (await s.mustPair(asks(phone, WRITE), 'scope-upgrade')).requestId;
      });

      await t.test('(b) logs has one line with what happened, why, to whom and the request', async () => {
        const logs = await run('logs', '--json');
        assert.equal(logs.code, 0, logs.stderr);
        const lines = logs.stdout.trim().split('\n').map((line) => JSON.parse(line));
        const told = lines.filter(({ message = '' }) =>
          ['pairing required', 'scope-upgrade', phone.id, request].every((part) => message.includes(part)),
        );
        assert.ok(told.length >= 1, logs.stdout);
      });

      await t.test('(c) devices list shows the request, devices approve <requestId> grants it', async () => {
        const list = await run('devices', 'list');
        assert.equal(list.code, 0, list.stderr);
        assert.ok(list.stdout.includes(request), list.stdout);
        const approved = await run('devices', 'approve', request);
        assert.equal(approved.code, 0, approved.stderr);
        assert.ok(approved.stdout.includes(`Approved ${phone.id} (${request})`), approved.stdout);
      });

      await t.test('(d) the same connect is hello-ok, also with nothing but its device token', async () => {
        const { hello } = await s.admitted(asks(phone, WRITE));
        token = hello.auth.deviceToken;
        assert.deepEqual([...hello.auth.scopes].sort(), WRITE);
        await s.admitted(asks(phone, WRITE, { deviceToken: token }));
      });

      await t.test('(c) with one request waiting, devices approve needs no id, or says the command with it', async () => {
        const wider = [...WRITE, 'operator.approvals'];
        const { requestId } = await s.mustPair(asks(phone, wider), 'scope-upgrade');
        let approved = await run('devices', 'approve');
        if (approver === NEWER) {
          assert.equal(approved.code, 1);
          assert.ok(approved.stderr.includes(`openclaw devices approve ${requestId}`), approved.stderr);
          approved = await run('devices', 'approve', requestId);
        }
        assert.equal(approved.code, 0, approved.stderr);
        assert.ok(approved.stdout.includes(`Approved ${phone.id} (${requestId})`), approved.stdout);
        await s.admitted(asks(phone, wider, { deviceToken: token })); // approving widens the token in place
      });

      await t.test('(e) instead of approving, rotate --scope lets it in too', async () => {
        await s.mustPair(asks(tablet, WRITE), 'scope-upgrade');
        const rotated = await json(
          'devices', 'rotate', '--device', tablet.id, '--role', 'operator',
          '--scope', 'operator.read', '--scope', 'operator.write',
        );
        assert.deepEqual([...rotated.scopes].sort(), WRITE);
        assert.equal(rotated.token, undefined, 'a token is shown to its own device only');
        await s.admitted(asks(tablet, WRITE));
        assert.deepEqual((await s.listing()).pending, [], 'the act resolves the request that it covers');
      });

      await t.test('(e) and it is journalled as the approval that it is', async () => {
        const journal = await s.ours('journal', 'show');
        assert.equal(journal.code, 0, journal.stderr);
        const approvals = journal.stdout.split('\n').filter((line) => line.includes('PairingApproved'));
        assert.ok(approvals.some((line) => line.includes(tablet.id)), journal.stdout);
      });

      await t.test('(f) deleting devices and identity while stopped loses no approval', async () => {
        const before = await s.listing();
        await s.disconnectAll();
        assert.equal(await s.gateway.stop(), 0);
        s.keepSecretsSeen();
        for (const name of ['devices', 'identity']) {
          fs.rmSync(path.join(s.gateway.state, name), { recursive: true, force: true });
        }
        await s.gateway.start();
        const after = await json('devices', 'list');
        for (const device of before.paired) {
          const kept = after.paired.find(({ deviceId }) => deviceId === device.deviceId);
          assert.deepEqual(approvalOf(kept), approvalOf(device));
        }
        await s.admitted(asks(phone, WRITE, { deviceToken: token }));
        await s.admitted(asks(tablet, WRITE));
      });
    },
    { freshMachine: true, release: isReal ? approver : OLDER },
  );
}

const ALL = ['admin', 'approvals', 'pairing', 'read', 'write'].map((scope) => `operator.${scope}`);

function identityOf(s) {
  return JSON.parse(fs.readFileSync(path.join(s.gateway.state, 'identity/device.json'), 'utf8')).deviceId;
}

function approvalOf({ deviceId, publicKey, roles, scopes, approvedAtMs }) {
  return { deviceId, publicKey, roles: [...roles].sort(), scopes: [...scopes].sort(), approvedAtMs };
}
