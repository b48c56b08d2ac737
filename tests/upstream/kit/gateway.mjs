// Our gateway as a process of its own: a free port, a HOME of its own, started, stopped and killed.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { freePort, until, within } from './scratch.mjs';

export class Gateway {
  /**
   * `home` is made if it is missing; `config` (an object) is written as openclaw.json unless one is there. It listens on
   * loopback, or where gateway.customBindHost of `config` says. `flags` come last on its command line.
   */
  constructor(home, config, flags = []) {
    this.home = home;
    this.flags = flags;
    this.address = config?.gateway.customBindHost ?? '127.0.0.1';
    this.state = path.join(home, '.openclaw');
    this.configFile = path.join(this.state, 'openclaw.json');
    this.output = '';
    if (config) {
      fs.mkdirSync(this.state, { recursive: true, mode: 0o700 });
      fs.writeFileSync(this.configFile, JSON.stringify(config), { mode: 0o600 });
    }
  }

  get url() {
    return `ws://${this.authority}`;
  }

  get authority() {
    return `${this.address.includes(':') ? `[${this.address}]` : this.address}:${this.port}`;
  }

  get environment() {
    return { PATH: process.env.PATH, HOME: this.home, NO_COLOR: '1' };
  }

  /** The shared token: what openclaw.json says once the gateway is up. */
  get token() {
    return JSON.parse(fs.readFileSync(this.configFile, 'utf8')).gateway.auth.token;
  }

  /** Starts and waits for GET /readyz. Somebody may take the port between finding and using it: then once more. */
  async start() {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.startOn(await freePort(this.address));
      } catch (error) {
        if (attempt === 3 || !/in use|already listening/i.test(this.output)) throw error;
      }
    }
  }

  async startOn(port) {
    this.port = port;
    const bind = this.address === '127.0.0.1' ? 'loopback' : 'custom';
    const child = spawn(
      process.env.OPENCLAW_BIN,
      ['gateway', 'run', '--port', String(port), '--bind', bind, '--allow-unconfigured', ...this.flags],
      { env: this.environment, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    child.stdout.on('data', (text) => (this.output += text));
    child.stderr.on('data', (text) => (this.output += text));
    this.child = child;
    this.exited = new Promise((resolve) => child.on('exit', (code, signal) => resolve(code ?? signal)));
    child.on('error', (error) => (this.output += String(error)));
    let over;
    this.exited.then((how) => (over = how));
    await until('the gateway gets ready', async () => {
      if (over !== undefined) throw new Error(`the gateway ended (${over}) before it was ready:\n${this.output}`);
      try {
        return (await fetch(`http://${this.authority}/readyz`)).ok;
      } catch {
        return false;
      }
    }, 30000);
  }

  /** SIGTERM, and the exit code. */
  stop() {
    return this.end('SIGTERM');
  }

  /** SIGKILL: what a power cut leaves behind, as far as the process goes. */
  kill() {
    return this.end('SIGKILL');
  }

  async end(signal) {
    if (!this.child) return undefined;
    this.child.kill(signal);
    const how = await within(15000, `the gateway ends after ${signal}`, this.exited);
    this.child = undefined;
    return how;
  }
}
