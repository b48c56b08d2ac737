// One story: a gateway, the command lines and the test clients around it, and everything they said.
// What is said is kept, because at the end of each story no secret may be found in any of it.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { OLDER, runOurs, runReal, startReal } from './cli.mjs';
import { connect, newDevice } from './client.mjs';
import { Gateway } from './gateway.mjs';
import { jsonLines } from './recordings.mjs';
import { scratchDirectory } from './scratch.mjs';
import { secretsUnder, whereSecretsAre } from './secrets.mjs';

/**
 * A test with a gateway of its own; at its end the secrets are searched for.
 * On a `freshMachine` the gateway finds no configuration: it makes one, with a token; else `gateway` is added to what it
 * finds. `release` is that of the real client. `skip` is a reason, if there is one.
 */
export function story(name, body, { freshMachine = false, gateway, release, skip } = {}) {
  test(name, { skip }, async (t) => {
    const self = new Story(freshMachine ? undefined : configWithToken(gateway), release);
    try {
      await self.gateway.start();
      await body(self, t);
      await t.test('no secret is in the journal, in the state directory or in anything that was printed', () =>
        self.assertNoSecretIsFound(),
      );
    } finally {
      await self.end();
    }
  });
}

export function configWithToken(gateway) {
  const token = crypto.randomBytes(24).toString('hex');
  return { gateway: { mode: 'local', auth: { mode: 'token', token }, ...gateway } };
}

export class Story {
  constructor(config, release = OLDER) {
    this.release = release;
    this.home = scratchDirectory('home');
    this.gateway = new Gateway(this.home, config);
    this.said = [];
    this.secrets = new Set();
    this.sockets = [];
    this.homes = [this.home];
  }

  /** From now on the gateway's HOME is this one, with the openclaw.json that is there. */
  moveTo(home) {
    const { port } = this.gateway;
    this.home = home;
    this.homes.push(home);
    this.gateway = Object.assign(new Gateway(home), { port });
  }

  get url() {
    return this.gateway.url;
  }

  /** The real client on the gateway host: it shares HOME, so also the state directory and the identity. */
  async real(...args) {
    return this.heard(await runReal(this.release, this.home, args, this.port));
  }

  /** Our command line there: it takes the owner channel. */
  async ours(...args) {
    return this.heard(await runOurs(this.home, args, this.port));
  }

  /** Our `devices list --json`, as the owner sees it. */
  async listing() {
    const { code, stdout, stderr } = await this.ours('devices', 'list', '--json');
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  }

  /** `node.list` as the owner sees it: our `nodes status --json`. */
  async nodes() {
    const { code, stdout, stderr } = await this.ours('nodes', 'status', '--json');
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  }

  /** Every record of the journal, as `journal export` gives it: { seq, event, actor, fields }. */
  async journal() {
    const { code, stdout, stderr } = await this.ours('journal', 'export');
    assert.equal(code, 0, stderr);
    return jsonLines(stdout);
  }

  /** A HOME of its own for a real client that names the gateway by --url and --token. */
  newClientHome() {
    const home = scratchDirectory('client');
    const state = path.join(home, '.openclaw');
    fs.mkdirSync(state, { mode: 0o700 });
    // Without its plugins the client starts twice as fast; no command here needs them.
    fs.writeFileSync(path.join(state, 'openclaw.json'), '{ "plugins": { "enabled": false } }', { mode: 0o600 });
    this.homes.push(home);
    return home;
  }

  async realFrom(home, ...args) {
    return this.realWith(home, this.gateway.token, ...args);
  }

  async realWith(home, token, ...args) {
    return this.heard(await runReal(this.release, home, args.concat('--url', this.url, '--token', token)));
  }

  /** With what the openclaw.json of that HOME says, and nothing else. */
  async realAsConfigured(home, ...args) {
    return this.heard(await runReal(this.release, home, args));
  }

  startRealFrom(home, ...args) {
    const running = startReal(this.release, home, args.concat('--url', this.url, '--token', this.gateway.token));
    running.done.then((result) => this.heard(result));
    return running;
  }

  newDevice() {
    const device = newDevice();
    for (const secret of device.secrets) this.secrets.add(secret);
    return device;
  }

  /** A test client with the shared token, unless `auth` says otherwise. */
  async connect(options) {
    const peer = await connect(this.url, { auth: { token: this.gateway.token }, ...options });
    if (peer.hello) {
      this.sockets.push(peer);
      if (peer.hello.auth?.deviceToken) this.secrets.add(peer.hello.auth.deviceToken);
    }
    return peer;
  }

  /** Connects, and fails unless it is let in with the scopes it asks for. */
  async admitted(options) {
    const peer = await this.connect(options);
    assert.ok(peer.hello, `refused: ${peer.error?.message} (${peer.close?.code} ${peer.close?.reason})`);
    return peer;
  }

  /** Connects, and fails unless it is refused as one who has to pair; gives the details of the refusal. */
  async mustPair(options, reason) {
    const peer = await this.connect(options);
    assert.ok(!peer.hello, 'it was let in');
    assert.equal(peer.error?.code, 'NOT_PAIRED');
    assert.equal(peer.error.details.code, 'PAIRING_REQUIRED');
    assert.equal(peer.error.details.reason, reason);
    assert.match(peer.error.details.requestId, /^[0-9a-f-]{36}$/);
    assert.equal(peer.close.code, 1008);
    assert.ok(peer.close.reason.startsWith('pairing required'), peer.close.reason);
    return peer.error.details;
  }

  async disconnectAll() {
    for (const socket of this.sockets.splice(0)) await socket.close();
  }

  heard(result) {
    this.said.push(result);
    return result;
  }

  get port() {
    return { OPENCLAW_GATEWAY_PORT: String(this.gateway.port) };
  }

  /** Remembers the secrets that are in files now: before a story deletes some of them, and at its end. */
  keepSecretsSeen() {
    this.secrets.add(this.gateway.token);
    for (const home of this.homes) for (const secret of secretsUnder(home)) this.secrets.add(secret);
  }

  assertNoSecretIsFound() {
    this.keepSecretsSeen();
    const journal = path.join(this.gateway.state, 'journal');
    assert.ok(fs.existsSync(journal), 'there is no journal to search');
    assert.ok(this.secrets.size >= 2, 'no secret but the shared token was seen');
    const printed = this.said.map((said) => [`openclaw ${said.command}`, said.stdout + said.stderr]);
    printed.push(['openclaw gateway run', this.gateway.output]);
    assert.deepEqual(whereSecretsAre(this.secrets, this.home, printed), []);
  }

  async end() {
    await this.disconnectAll();
    await this.gateway.kill();
  }
}
