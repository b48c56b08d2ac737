// kill -9 at seeded points: every reply that was received before the kill is true after the next start.
// UPSTREAM_SEED repeats a run, UPSTREAM_KILLS makes it longer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configWithToken, Story } from './kit/story.mjs';

const KILLS = Number(process.env.UPSTREAM_KILLS ?? 20);
const SEED = Number(process.env.UPSTREAM_SEED ?? Date.now() % 2 ** 31);
const READ = ['operator.read'];
const WRITE = ['operator.read', 'operator.write'];
const ADMIN = ['operator.admin', 'operator.pairing'];
const REMOTE = { host: 'gw.example.test' };

test(`${KILLS} kills, seed ${SEED}: what was answered before a kill is there after it`, async (t) => {
  t.diagnostic(`UPSTREAM_SEED=${SEED} repeats this run`);
  const random = generator(SEED);
  const s = new Story(configWithToken());
  const known = new Known();
  const admin = s.newDevice();
  let answered = 0;
  try {
    await s.gateway.start();
    for (let kill = 1; kill <= KILLS; kill++) {
      const round = new Round(s, admin, known);
      const killStep = Math.floor(random() * round.steps.length);
      // Up to the time that a step takes: the kill falls before, in and after the write of its event.
      const delay = random() * 8;
      await t.test(`kill ${kill}: ${delay.toFixed(1)} ms into "${round.steps[killStep][0]}"`, async () => {
        for (const [, step] of round.steps.slice(0, killStep)) await step();
        // The step in which it is killed may be answered, or not.
        const dying = round.steps[killStep][1]().then(() => answered++, () => {});
        await new Promise((resolve) => setTimeout(resolve, delay));
        await s.gateway.kill();
        await dying;
        s.sockets.length = 0;

        const verified = await s.ours('journal', 'verify');
        assert.equal(verified.code, 0, verified.stdout + verified.stderr);
        await s.gateway.start();
        await known.holds(s);
        await answerAllRequests(s);
      });
    }
    t.diagnostic(`${answered} of ${KILLS} kills came after the answer to the last step, the others before it`);
    await t.test('no secret is in the journal, in the state directory or in anything that was printed', () =>
      s.assertNoSecretIsFound(),
    );
  } finally {
    await s.end();
  }
});

/** The story of one round: what an administrator and three devices do. Each step notes what it was told. */
class Round {
  constructor(s, admin, known) {
    const [phone, tablet, stranger] = [s.newDevice(), s.newDevice(), s.newDevice()];
    let console;
    let request;
    let other;
    let token;
    const command = async (method, params) => {
      known.unsure(params.deviceId); // from now on, until the answer, both are possible
      const reply = await console.request(method, params);
      if (reply === undefined) throw new Error('the gateway went away');
      assert.ok(reply.ok, `${method}: ${reply.error?.message}`);
      return reply.payload;
    };
    this.steps = [
      ['an administrator connects', async () => {
        console = await s.admitted({ device: admin, scopes: ADMIN });
        known.paired(admin, ADMIN);
      }],
      ['a phone pairs by the policy rule', async () => {
        await s.admitted({ device: phone, scopes: READ });
        known.paired(phone, READ);
      }],
      ['a tablet pairs by the policy rule', async () => {
        token = (await s.admitted({ device: tablet, scopes: READ })).hello.auth.deviceToken;
        known.paired(tablet, READ);
        known.admits(tablet, token, READ);
      }],
      ['the phone asks for more', async () => {
        request = (await s.mustPair({ device: phone, scopes: WRITE, ...REMOTE }, 'scope-upgrade')).requestId;
        known.waits(request, phone);
      }],
      ['a stranger asks from afar', async () => {
        other = (await s.mustPair({ device: stranger, scopes: READ, ...REMOTE }, 'not-paired')).requestId;
        known.waits(other, stranger);
      }],
      ['the phone is approved', async () => {
        known.undecided(request);
        known.unsure(phone.id);
        await command('device.pair.approve', { requestId: request });
        known.paired(phone, WRITE);
      }],
      ['the phone is let in with more', async () => {
        const { deviceToken } = (await s.admitted({ device: phone, scopes: WRITE })).hello.auth;
        known.admits(phone, deviceToken, WRITE);
      }],
      ['the stranger is rejected', async () => {
        known.undecided(other);
        await command('device.pair.reject', { requestId: other });
        known.absent(stranger);
      }],
      ['the token of the tablet is rotated', async () => {
        await command('device.token.rotate', { deviceId: tablet.id, role: 'operator' });
        known.paired(tablet, READ);
        known.refuses(tablet, token);
      }],
      ['the token of the phone is revoked', async () => {
        await command('device.token.revoke', { deviceId: phone.id, role: 'operator' });
        known.revoked(phone);
      }],
      ['the tablet is removed', async () => {
        await command('device.pair.remove', { deviceId: tablet.id });
        known.absent(tablet);
      }],
    ];
  }
}

/** What we were told and may rely on. */
class Known {
  devices = new Map(); // id → { device, scopes?, revoked?, absent?, tokens }
  waiting = new Map(); // request id → device

  of(device) {
    if (!this.devices.has(device.id)) this.devices.set(device.id, { device, tokens: new Map() });
    return this.devices.get(device.id);
  }

  paired(device, scopes) {
    Object.assign(this.of(device), { scopes, absent: false, revoked: false, sure: true });
  }

  revoked(device) {
    Object.assign(this.of(device), { scopes: [], revoked: true, sure: true });
    this.refusesAll(device);
  }

  absent(device) {
    Object.assign(this.of(device), { scopes: undefined, absent: true, sure: true });
    this.refusesAll(device);
  }

  admits(device, token, scopes) {
    this.of(device).tokens.set(token, scopes);
  }

  refuses(device, token) {
    this.of(device).tokens.set(token, null);
  }

  refusesAll(device) {
    for (const token of this.of(device).tokens.keys()) this.refuses(device, token);
  }

  unsure(id) {
    const about = this.devices.get(id);
    if (about) about.sure = false;
  }

  waits(request, device) {
    this.waiting.set(request, device);
  }

  undecided(request) {
    this.waiting.delete(request);
  }

  /** Compares all of it with what the gateway says now. */
  async holds(s) {
    const { pending, paired } = await s.listing();
    for (const [request, device] of this.waiting) {
      const kept = pending.some(({ requestId, deviceId }) => requestId === request && deviceId === device.id);
      assert.ok(kept, `request ${request} is lost`);
    }
    this.waiting.clear();
    for (const [id, about] of this.devices) {
      if (!about.sure) continue;
      const now = paired.find(({ deviceId }) => deviceId === id);
      if (about.absent) {
        assert.equal(now, undefined, `${id} is paired again`);
      } else {
        assert.ok(now, `${id} is lost`);
        assert.deepEqual([...now.scopes].sort(), [...about.scopes].sort());
        assert.equal(now.tokens.some(({ revokedAtMs }) => revokedAtMs !== undefined), about.revoked);
      }
      for (const [deviceToken, scopes] of about.tokens) {
        const peer = await s.connect({ device: about.device, scopes: scopes ?? [], auth: { deviceToken } });
        assert.equal(Boolean(peer.hello), scopes !== null, `${id}: ${peer.error?.message ?? 'a dead token lives'}`);
      }
      about.tokens.clear(); // each is tried once: the next round has its own
    }
    await s.disconnectAll();
  }
}

/** What an operator would do at the end of a day: the next round starts with an empty table. */
async function answerAllRequests(s) {
  for (const { requestId } of (await s.listing()).pending) {
    const { code, stderr } = await s.ours('devices', 'reject', requestId);
    assert.equal(code, 0, stderr);
  }
}

/** mulberry32: small, and the same numbers for the same seed everywhere. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
