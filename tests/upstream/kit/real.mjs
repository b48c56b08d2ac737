// A real OpenClaw gateway as a process of its own, and what it leaves behind.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { startReal } from './cli.mjs';
import { scratchDirectory, until, within } from './scratch.mjs';

export class RealGateway {
  /** In a HOME of its own unless one is given, with this shared token; it listens on every address. */
  constructor(release, token, home = scratchDirectory('real')) {
    Object.assign(this, { release, token, home, state: path.join(home, '.openclaw') });
    fs.mkdirSync(this.state, { mode: 0o700, recursive: true });
    const config = {
      gateway: { mode: 'local', bind: 'lan', auth: { mode: 'token', token }, controlUi: { enabled: false } },
      plugins: { enabled: false },
      discovery: { mdns: { mode: 'off' } },
      update: { checkOnStart: false },
    };
    fs.writeFileSync(path.join(this.state, 'openclaw.json'), JSON.stringify(config), { mode: 0o600 });
  }

  /** Starts on this port and waits until it takes connections. */
  async startOn(port) {
    const environment = { OPENCLAW_ALLOW_INSECURE_PRIVATE_WS: '1' };
    this.running = startReal(this.release, this.home, ['gateway', 'run', '--port', String(port)], environment, 280000);
    let over;
    this.running.done.then((how) => (over = how));
    await until('the real gateway gets ready', async () => {
      if (over) assert.fail(`the real gateway ended (${over.code}) before it was ready:\n${over.stdout}${over.stderr}`);
      try {
        const ready = await fetch(`http://127.0.0.1:${port}/readyz`);
        return ready.ok && (await ready.json()).ready;
      } catch {
        return false;
      }
    }, 90000);
  }

  /** Stops it in order; gives what it said. */
  async stop() {
    if (!this.running) return undefined;
    const said = await within(60000, 'the real gateway ends', this.running.stop());
    this.running = undefined;
    return said;
  }
}

/** Every file below this directory: its bytes by their hash, its mode and when it was written. */
export function tree(directory) {
  const files = {};
  for (const entry of fs.readdirSync(directory, { withFileTypes: true, recursive: true })) {
    const file = path.join(entry.parentPath, entry.name);
    const { mode, mtimeMs } = fs.lstatSync(file);
    const hash = entry.isFile() && crypto.createHash('sha256').update(fs.readFileSync(file)).digest('hex');
    files[path.relative(directory, file)] = { mode, mtimeMs, hash };
  }
  return files;
}
