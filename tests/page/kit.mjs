// A gateway, our command line beside it, and a browser in front of it.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import { Gateway } from '../upstream/kit/gateway.mjs';
import { scratchDirectory } from '../upstream/kit/scratch.mjs';

const modules = createRequire(path.join(process.env.PAGE_MODULES, 'x.js'));
const { chromium } = modules('playwright-core');
const AXE = fs.readFileSync(modules.resolve('axe-core/axe.min.js'), 'utf8');

export const TOKEN = 'a-shared-token-of-these-tests';

export class Stage {
  static async open(config) {
    const home = scratchDirectory('page');
    const gateway = new Gateway(home, { gateway: { mode: 'local', auth: { mode: 'token', token: TOKEN }, ...config } });
    await gateway.start();
    const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });
    return new Stage(gateway, browser);
  }

  constructor(gateway, browser) {
    this.gateway = gateway;
    this.browser = browser;
    /** Whatever a page logged or threw: nobody may. */
    this.complaints = [];
    /** The hosts that pages asked. */
    this.hosts = new Set();
  }

  get address() {
    return `http://${this.gateway.authority}/`;
  }

  /** Our command line on the gateway's host. */
  async ours(...args) {
    const { stdout } = await promisify(execFile)(process.env.OPENCLAW_BIN, args, { env: this.gateway.environment });
    return stdout;
  }

  async list() {
    return JSON.parse(await this.ours('devices', 'list', '--json'));
  }

  /** A browser of somebody else: its own storage, its own device. */
  async visitor(options = {}) {
    const context = await this.browser.newContext({ reducedMotion: 'reduce', ...options });
    const page = await context.newPage();
    page.on('console', (message) => ['error', 'warning'].includes(message.type()) && this.complaints.push(message.text()));
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('request', (request) => this.hosts.add(new URL(request.url()).host));
    page.on('websocket', (socket) => this.hosts.add(new URL(socket.url()).host));
    return page;
  }

  /** One that is let in with everything, approved by the owner. */
  async approved(options) {
    const page = await this.visitor(options);
    await page.goto(`${this.address}#token=${TOKEN}`);
    await this.ours('devices', 'approve', await waiting(page));
    await page.getByRole('navigation', { name: 'Views' }).waitFor();
    return page;
  }

  async close() {
    await this.browser.close();
    await this.gateway.stop();
  }
}

/** The request that the page says it waits for. */
export async function waiting(page) {
  await page.getByRole('heading', { name: 'This browser waits for approval' }).waitFor();
  return page.locator('dd code').first().innerText();
}

/** Connects as a device of its own that calls itself so, from a page of the same origin; what it was told. */
export function connectAs(page, { displayName, scopes, token = TOKEN }) {
  return page.evaluate(async ({ displayName, scopes, token }) => {
    const pair = await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify']);
    const raw = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', raw));
    const id = [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    const base64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
    const socket = new WebSocket(`ws://${location.host}/`);
    return new Promise((done) => {
      socket.onclose = ({ code }) => done({ id, closed: code });
      socket.onmessage = async ({ data }) => {
        const frame = JSON.parse(data);
        if (frame.type === 'res') return done({ id, ...frame });
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
  }, { displayName, scopes, token });
}

/** What axe-core finds wrong with the page as it stands. */
export async function violations(page) {
  const found = await page.evaluate(`${AXE}; axe.run()`);
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target).join(', ')}`);
}
