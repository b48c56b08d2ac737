// Command lines: the real OpenClaw clients' and ours.
import { spawn } from 'node:child_process';
import path from 'node:path';

/** The releases of the real client: one speaks protocol 3, the other protocol 4. */
export const OLDER = '2026.3.13';
export const NEWER = '2026.9.6';

/** Where that release is installed. */
export function clientDirectory(release) {
  return path.join(process.env.UPSTREAM_CLIENTS, release);
}

/** Runs `openclaw …args` of the real client with this HOME; gives { code, stdout, stderr }. */
export function runReal(release, home, args, environment = {}) {
  return startReal(release, home, args, environment).done;
}

/** The same with our binary. */
export function runOurs(home, args, environment = {}) {
  return start([process.env.OPENCLAW_BIN], home, args, environment).done;
}

/** The real client as a running process, for so many milliseconds at most: { output(), errors(), stop(), done }. */
export function startReal(release, home, args, environment = {}, ms = 90000) {
  const client = clientDirectory(release);
  const program = [process.env.UPSTREAM_NODE, path.join(client, 'node_modules/openclaw/openclaw.mjs')];
  return start(program, home, args, { TMPDIR: path.join(client, 'tmp'), ...environment }, ms);
}

function start([program, ...before], home, args, environment, ms = 90000) {
  const child = spawn(program, [...before, ...args], {
    // Nothing is inherited but PATH: a token or a port of the caller's must not leak in.
    env: {
      PATH: process.env.PATH,
      HOME: home,
      NO_COLOR: '1',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: ms,
  });
  const result = { command: args.join(' '), stdout: '', stderr: '' };
  child.stdout.on('data', (text) => (result.stdout += text));
  child.stderr.on('data', (text) => (result.stderr += text));
  const done = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ ...result, code: code ?? signal }));
  });
  return {
    output: () => result.stdout,
    errors: () => result.stderr,
    stop: () => {
      child.kill('SIGTERM');
      return done;
    },
    done,
  };
}
