// Where a story keeps its files, and how it waits.
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

/** A fresh directory; `run` removes them all at the end. */
export function scratchDirectory(name) {
  return fs.mkdtempSync(path.join(process.env.UPSTREAM_SCRATCH ?? os.tmpdir(), `${name}-`));
}

/** A port that nobody listens on, below the range from which the system takes its own. */
export async function freePort(address = '127.0.0.1') {
  for (;;) {
    const port = 20000 + Math.floor(Math.random() * 12000);
    if (await canListen(port, address)) return port;
  }
}

function canListen(port, address) {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen(port, address, () => server.close(() => resolve(true)));
  });
}

/**
 * A private address of this machine that is not loopback, or `undefined`: only there does the 2026.9.6 client show its
 * device, and only to such an address does it speak without TLS.
 */
export function privateAddress() {
  const isPrivate = new net.BlockList();
  for (const [start, bits] of [['10.0.0.0', 8], ['172.16.0.0', 12], ['192.168.0.0', 16]]) isPrivate.addSubnet(start, bits);
  isPrivate.addSubnet('fc00::', 7, 'ipv6');
  const all = Object.values(os.networkInterfaces()).flat();
  return all.find(({ address, family }) => isPrivate.check(address, family.toLowerCase()))?.address;
}

/** Rejects with one plain sentence when `promise` takes longer than `ms`. */
export async function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing happened within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Polls until `condition` gives something truthy, and gives that. */
export async function until(what, condition, ms = 15000) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${what}: still not so after ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
