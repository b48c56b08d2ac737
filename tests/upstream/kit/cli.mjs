// Command lines: the real OpenClaw client's and ours.
import { spawn } from 'node:child_process';
import path from 'node:path';

const REAL = [process.env.UPSTREAM_NODE, path.join(process.env.UPSTREAM_CLIENT, 'openclaw.mjs')];
const OURS = [process.env.OPENCLAW_BIN];

/** Runs `openclaw …args` of the real client with this HOME; gives { code, stdout, stderr }. */
export function runReal(home, args, environment = {}) {
  return start(REAL, home, args, environment).done;
}

/** The same with our binary. */
export function runOurs(home, args, environment = {}) {
  return start(OURS, home, args, environment).done;
}

/** The real client as a running process: { output(), stop(), done }. */
export function startReal(home, args, environment = {}) {
  return start(REAL, home, args, environment);
}

function start([program, ...before], home, args, environment) {
  const child = spawn(program, [...before, ...args], {
    // Nothing is inherited but PATH: a token or a port of the caller's must not leak in.
    env: {
      PATH: process.env.PATH,
      HOME: home,
      TMPDIR: process.env.UPSTREAM_TMPDIR,
      NO_COLOR: '1',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 90000,
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
    stop: () => {
      child.kill('SIGTERM');
      return done;
    },
    done,
  };
}
