// A gateway, our command line beside it, and a browser in front of it.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Gateway } from '../upstream/kit/gateway.mjs';
import { scratchDirectory, until, within } from '../upstream/kit/scratch.mjs';

const modules = createRequire(path.join(process.env.PAGE_MODULES, 'x.js'));
const { chromium } = modules('playwright-core');
const AXE = fs.readFileSync(modules.resolve('axe-core/axe.min.js'), 'utf8');

export const TOKEN = 'a-shared-token-of-these-tests';
/** Nothing in a page takes this long; it only turns a hang into a failure. */
const PATIENCE_MS = 20_000;

/**
 * A browser that starts as root and with a small /dev/shm, and asks nobody for updates: playwright sees to that, as its own
 * switches say so.
 */
export const launch = (...args) => chromium.launch({ executablePath: process.env.CHROMIUM, chromiumSandbox: false, args });

export class Stage {
  /** A gateway of this configuration, started with these flags as well, and a browser that has not been there. */
  static async open(config, flags) {
    const gateway = new Gateway(scratchDirectory('page'), { gateway: { mode: 'local', auth: { mode: 'token', token: TOKEN }, ...config } }, flags);
    await gateway.start();
    try {
      return new Stage(gateway, await launch());
    } catch (error) {
      await gateway.stop();
      throw error;
    }
  }

  constructor(gateway, browser) {
    this.gateway = gateway;
    this.browser = browser;
    /** Whatever a page logged or threw: nobody may. */
    this.complaints = [];
    /** The hosts that pages asked. */
    this.hosts = new Set();
    /** What was printed here, by command. */
    this.printed = [];
  }

  get address() {
    return `http://${this.gateway.authority}/`;
  }

  /** Our command line on the gateway's host. */
  async ours(...args) {
    const { stdout, stderr } = await promisify(execFile)(process.env.OPENCLAW_BIN, args, { env: this.gateway.environment, maxBuffer: 2 ** 26 });
    this.printed.push([args.join(' '), stdout + stderr]);
    return stdout;
  }

  async list() {
    return JSON.parse(await this.ours('devices', 'list', '--json'));
  }

  /** `openclaw dashboard`, once it says which file leads to the page: that file, what it leads to, and how it ends. */
  async dashboard() {
    const child = spawn(process.env.OPENCLAW_BIN, ['dashboard', '--no-open'], { env: this.gateway.environment });
    const said = ['dashboard', ''];
    this.printed.push(said);
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said[1] += text));
    const ended = new Promise((done) => child.on('close', done));
    const file = await until('dashboard says its file', () => said[1].match(/: (.*)\n/)?.[1]);
    const [, leads, code] = fs.readFileSync(file, 'utf8').match(/location\.replace\("(.*#bootstrapToken=(.*))"\)/);
    return { file, leads, code, pid: child.pid, ended: async () => ({ code: await within(PATIENCE_MS, 'dashboard ends', ended), said: said[1] }) };
  }

  /** A browser of somebody else: its own storage, its own device. */
  async visitor(options = {}) {
    const context = await this.browser.newContext({ reducedMotion: 'reduce', ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    // A file has no host.
    const asked = (url) => url.startsWith('file:') || this.hosts.add(new URL(url).host);
    context.on('console', (message) => ['error', 'warning'].includes(message.type()) && this.complaints.push(message.text()));
    context.on('weberror', (error) => this.complaints.push(error.error().message));
    context.on('request', (request) => asked(request.url()));
    context.on('page', (page) => page.on('websocket', (socket) => asked(socket.url())));
    return context.newPage();
  }

  /** One that is let in with everything, approved by the owner. */
  async approved(options) {
    const page = await this.visitor(options);
    await page.goto(`${this.address}#token=${TOKEN}`);
    await this.ours('devices', 'approve', await waiting(page));
    await isIn(page);
    return page;
  }

  /** Until now no page logged or threw anything, broke its policy, or asked anybody but the gateway. */
  isQuiet() {
    assert.deepEqual(this.complaints, []);
    assert.deepEqual([...this.hosts], [this.gateway.authority]);
  }

  async close() {
    try {
      await this.browser.close();
    } finally {
      await this.gateway.stop();
    }
  }
}

/** A test with a stage of its own, on which no page may complain of anything. */
export function play(name, body, config) {
  test(name, async (t) => {
    const stage = await Stage.open(config);
    try {
      await body(stage, t);
      stage.isQuiet();
    } finally {
      await stage.close();
    }
  });
}

/** Waits until this browser is let in. */
export const isIn = (page) => page.getByRole('navigation', { name: 'Views' }).waitFor();

/** The request that the page says it waits for. */
export async function waiting(page) {
  await page.getByRole('heading', { name: 'This browser waits for approval' }).waitFor();
  return page.locator('dd code').first().innerText();
}

/**
 * Connects as a device that calls itself so, from any page to the gateway (where none is named, its own); what it was told. It is
 * another one each time, unless it is `known` by a name under which the page keeps its key.
 */
export function connectAs(page, { displayName, scopes, token = TOKEN, gateway, known }) {
  return page.evaluate(async ({ displayName, scopes, token, gateway, known }) => {
    const pair = window[known] ?? (await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify']));
    if (known) window[known] = pair;
    const raw = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', raw));
    const id = [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    const base64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
    const socket = new WebSocket(`ws://${gateway ?? location.host}/`);
    return new Promise((done) => {
      socket.onclose = ({ code }) => done({ id, closed: code });
      socket.onmessage = async ({ data }) => {
        const frame = JSON.parse(data);
        if (frame.type === 'res') return done({ ...frame, id });
        if (frame.event !== 'connect.challenge') return;
        const [client, mode, platform, signedAt, nonce] = ['webchat-ui', 'webchat', 'linux', Date.now(), frame.payload.nonce];
        const text = ['v3', id, client, mode, 'operator', scopes.join(','), signedAt, token, nonce, platform, ''].join('|');
        const signature = base64(await crypto.subtle.sign('Ed25519', pair.privateKey, new TextEncoder().encode(text)));
        const device = { id, publicKey: base64(raw), signature, signedAt, nonce };
        const about = { id: client, mode, platform, version: '1', displayName };
        const params = { minProtocol: 4, maxProtocol: 4, client: about, role: 'operator', scopes, device, auth: { token } };
        socket.send(JSON.stringify({ type: 'req', id: '1', method: 'connect', params }));
      };
    });
  }, { displayName, scopes, token, gateway, known });
}

/** What axe-core finds wrong with the page as it stands. */
export async function violations(page) {
  const found = await page.evaluate(`${AXE}; axe.run()`);
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target).join(', ')}`);
}

/** Leaves a picture of the page as it stands. */
export const shot = (page, name) => page.screenshot({ path: path.join(process.env.PAGE_SHOTS, `${name}.png`), fullPage: true });

/** What the browser keeps for the page's origin: every cookie, every entry of both storages, every record of every database. */
export async function kept(page) {
  const cookies = await page.context().cookies();
  return page.evaluate(async (cookies) => {
    const asked = (request) => new Promise((done, fail) => ((request.onsuccess = () => done(request.result)), (request.onerror = fail)));
    const records = [];
    for (const { name } of await indexedDB.databases()) {
      const database = await asked(indexedDB.open(name));
      for (const store of database.objectStoreNames) records.push(...(await asked(database.transaction(store).objectStore(store).getAll())));
      database.close();
    }
    // A key is told by what could be read out of it.
    const readable = async (key) => {
      const formats = ['raw', 'jwk', key.type === 'private' ? 'pkcs8' : 'spki'];
      const read = await Promise.allSettled(formats.map((format) => crypto.subtle.exportKey(format, key)));
      return { type: key.type, extractable: key.extractable, readAs: formats.filter((_, at) => read[at].status === 'fulfilled') };
    };
    const told = (value) => (value instanceof CryptoKey ? readable(value) : value);
    const plain = async (record) => Object.fromEntries(await Promise.all(Object.entries(record).map(async ([name, value]) => [name, await told(value)])));
    return { cookies, local: { ...localStorage }, session: { ...sessionStorage }, records: await Promise.all(records.map(plain)) };
  }, cookies);
}
