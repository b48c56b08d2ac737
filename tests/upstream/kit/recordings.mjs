// What real gateways made the real clients say (recordings/), and how a run is compared with it.
import assert from 'node:assert/strict';
import fs from 'node:fs';

/** What our answers tell beside what is recorded (README.md says why). */
const BESIDE = ['approvedScopes', 'attempts', 'connected', 'expiresAtMs', 'lastSeenAtMs', 'message', 'missingScopes', 'reason', 'tokenDelivery'];

/** Reads the recorded runs of that release: (name) => { argv, rc, stdout, stderr }. */
export function recordingsOf(release) {
  return (name) =>
    JSON.parse(fs.readFileSync(new URL(`../recordings/${release}/cli-${name}.json`, import.meta.url), 'utf8'));
}

/**
 * The run has the recording's exit code and says the same on both streams, but for ids, times, tokens, paths and ports.
 * `but` takes the recorded stdout, parsed or as text, and gives what we chose to say instead (README.md says why).
 */
export function sameAsRecorded(run, recorded, but = (same) => same) {
  assert.equal(run.code, recorded.rc, run.stderr);
  const beside = BESIDE.filter((key) => !recorded.stdout.includes(`"${key}"`));
  assert.deepEqual(said(run.stdout, beside), but(said(recorded.stdout)));
  assert.deepEqual(errors(run.stderr), errors(recorded.stderr));
}

/** The run has the recording's exit code, and its JSON the recording's keys and types; a list of ours may be empty. */
export function sameShape(run, recorded) {
  assert.equal(run.code, recorded.rc, run.stderr);
  const ours = JSON.parse(run.stdout);
  assert.deepEqual(shape(ours), shape(emptiedAs(ours, JSON.parse(recorded.stdout))));
}

function emptiedAs(ours, theirs) {
  if (Array.isArray(theirs)) return Array.isArray(ours) && ours.length === 0 ? [] : theirs;
  if (theirs === null || typeof theirs !== 'object') return theirs;
  return Object.fromEntries(Object.entries(theirs).map(([key, item]) => [key, emptiedAs(ours?.[key], item)]));
}

/** Keys and types: { "ok": true } is { ok: 'boolean' }. An array is the set of the shapes in it. */
export function shape(value) {
  if (Array.isArray(value)) {
    const shapes = value.map((item) => JSON.stringify(shape(item)));
    return [...new Set(shapes)].sort().map((item) => JSON.parse(item));
  }
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, shape(value[key])]));
}

/** Lines of JSON, each parsed. */
export function jsonLines(text) {
  return text.split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

function said(stdout, without = []) {
  if (stdout.startsWith('{')) {
    return maskValue(JSON.parse(stdout, (key, value) => (without.includes(key) ? undefined : value)));
  }
  return stdout.includes('┌') ? tables(stdout) : mask(stdout);
}

/** What went wrong, without the stack: its lines name places in the client's own files. */
function errors(stderr) {
  return mask(stderr.split('\n').filter((line) => !line.startsWith('    at ')).join('\n'));
}

function mask(text) {
  return text
    .replace(/\b[0-9a-f]{64}\b/g, '<device>')
    .replace(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, '<request>')
    .replace(/(?<![\w-])[\w-]{43}(?![\w-])/g, '<key>')
    .replace(/ws:\/\/127\.0\.0\.1:\d+/g, '<url>')
    .replace(/^Config: .*$/gm, 'Config: <path>');
}

function maskValue(value, key) {
  if (typeof value === 'string') return mask(value);
  if (typeof value === 'number') return /AtMs$|^ts$/.test(key) ? '<time>' : value;
  if (Array.isArray(value)) {
    const items = value.map((item) => maskValue(item));
    return key === 'scopes' ? items.sort() : items; // a set: we print it in one fixed order
  }
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, maskValue(item, name)]));
}

/**
 * Tables as rows of cells. A cell is wrapped anywhere, so its blanks do not count; only the first line of a row has a
 * role, or where there is no such column an age, in it.
 */
function tables(text) {
  const out = [];
  let firstColumn;
  let row;
  for (const line of text.split('\n').filter((line) => line && !/^[┌├└]/.test(line))) {
    if (!line.startsWith('│')) {
      out.push(line); // a heading: Pending (2)
      firstColumn = undefined;
      continue;
    }
    const parts = line.slice(1, -1).split('│').map((part) => part.trim());
    if (firstColumn !== undefined && parts[firstColumn] === '') {
      parts.forEach((part, column) => (row[column] += part));
    } else {
      firstColumn ??= parts.findIndex((part) => /^Roles?$/.test(part) || (part === 'Age' && !parts.includes('Role')));
      out.push((row = parts));
    }
  }
  return out.map((line) => (Array.isArray(line) ? line.map(cell) : mask(line)));
}

function cell(text) {
  const bare = mask(text.replaceAll(' ', '')).replace(/^(justnow|\d+[smhd]ago)$/, '<age>');
  return bare.startsWith('operator.') ? bare.split(',').sort().join(',') : bare;
}
