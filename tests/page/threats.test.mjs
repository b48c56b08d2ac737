// What a hostile page, name, script or process on the same host gets of the Control UI, as a real browser sees it.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { whereSecretsAre } from '../upstream/kit/secrets.mjs';
import { scratchDirectory, until } from '../upstream/kit/scratch.mjs';
import { Stage, TOKEN, connectAs, isIn, kept, launch, shot, waiting } from './kit.mjs';

const FILES = fs.readdirSync(new URL('../../src/gateway/page', import.meta.url)).map((name) => (name === 'index.html' ? '' : name));
/** What the owner of a Control UI may. */
const OWNER = ['admin', 'approvals', 'pairing', 'questions', 'read', 'talk.secrets', 'write'].map((scope) => `operator.${scope}`);

/** The command lines of all processes. */
function commandLines() {
  const read = (pid) => {
    try {
      return [fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1')];
    } catch {
      return []; // It is gone.
    }
  };
  return fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap(read);
}

/** A server of somebody else on this host: it serves one page, and notes what it is asked for. */
async function stranger(html = '<!doctype html><title>stranger</title>') {
  const asked = [];
  const server = http.createServer((request, response) => {
    asked.push(request.url);
    response.setHeader('content-type', 'text/html').end(html);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address();
  return { asked, at: (name) => `http://${name}:${port}/`, close: () => (server.closeAllConnections(), server.close()) };
}

describe('threats', () => {
  let stage;
  let foreign;
  before(async () => {
    stage = await Stage.open();
    foreign = await stranger();
  });
  after(async () => {
    foreign?.close();
    await stage?.close();
  });

  test('x14 the file of `dashboard` lets one browser in with everything, and the code is left nowhere', async () => {
    const dashboard = await stage.dashboard();
    const { file, leads, code } = dashboard;
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    assert.equal(leads, `${stage.address}#bootstrapToken=${code}`);
    const page = await stage.visitor();
    await page.addInitScript(() => {
      const Real = WebSocket;
      window.WebSocket = class extends Real {
        constructor(...args) {
          super(...args);
          window.addressAtSocket ??= location.href;
        }
      };
    });
    const lines = commandLines();
    await page.goto(`file://${file}`, { waitUntil: 'commit' });
    await isIn(page);
    lines.push(...commandLines());
    assert.ok(lines.some((line) => line.includes('dashboard')) && lines.some((line) => line.includes('chromium')));
    assert.deepEqual(lines.filter((line) => line.includes(code)), []);
    const ended = await dashboard.ended();
    assert.equal(ended.code, 0, ended.said);
    assert.match(ended.said, /The browser is paired\.\n$/);
    assert.equal(fs.existsSync(file), false);

    assert.equal(page.url(), stage.address);
    const seen = await page.evaluate(() => ({
      socket: window.addressAtSocket,
      referrer: document.referrer,
      history: JSON.stringify([history.state, navigation.entries().map(({ url }) => url)]),
      html: document.documentElement.outerHTML,
    }));
    assert.equal(seen.socket, stage.address, 'cleared before anything else is done');
    assert.equal(seen.referrer, '');
    // What a person is shown by the back button. A browser's own files keep what it was led to, whatever a page does: so it is spent.
    const devtools = await page.context().newCDPSession(page);
    const { entries } = await devtools.send('Page.getNavigationHistory');
    assert.deepEqual(entries.map(({ url }) => url).filter((url) => url !== 'about:blank'), [stage.address]);
    for (const text of [seen.history, seen.html, ended.said]) assert.ok(!text.includes(code), text);

    const { paired, pending } = await stage.list();
    assert.deepEqual([pending, paired.map(({ scopes }) => [...scopes].sort())], [[], [OWNER]]);
    stage.isQuiet();
    const second = await stage.visitor();
    await second.goto(leads);
    await second.getByRole('heading', { name: 'Connect this browser' }).waitFor();
    await shot(second, 'spent');
    assert.equal(second.url(), stage.address);
    const list = await stage.list();
    assert.deepEqual([list.pending, list.paired.length], [[], 1], 'the code is spent');
    await page.context().close();
    await second.context().close();
  });

  test('x14 a browser that is the owner\'s already spends the code too', async () => {
    const page = await stage.approved();
    const before = (await stage.list()).paired.length;
    const dashboard = await stage.dashboard();
    await page.goto(`file://${dashboard.file}`, { waitUntil: 'commit' });
    await isIn(page);
    const ended = await dashboard.ended();
    assert.equal(ended.code, 0, ended.said);
    const second = await stage.visitor();
    await second.goto(dashboard.leads);
    await second.getByRole('heading', { name: 'Connect this browser' }).waitFor();
    assert.equal((await stage.list()).paired.length, before);
    await page.context().close();
    await second.context().close();
  });

  test('x21 a page of this host that is not the gateway\'s is not let in, with the token and a device', async () => {
    const ask = { displayName: 'stranger', scopes: ['operator.read'], gateway: stage.gateway.authority };
    const file = path.join(scratchDirectory('stranger'), 'page.html');
    fs.writeFileSync(file, '<!doctype html>');
    for (const address of [foreign.at('localhost'), foreign.at('127.0.0.1'), `file://${file}`]) {
      const page = await stage.visitor();
      await page.goto(address);
      const told = await connectAs(page, ask);
      assert.equal(told.error?.details.code, 'CONTROL_UI_ORIGIN_NOT_ALLOWED', `${address}: ${JSON.stringify(told)}`);
      await page.context().close();
    }
    assert.deepEqual((await stage.list()).pending, [], 'not even a request');
    const page = await stage.visitor();
    await page.goto(stage.address);
    const told = await connectAs(page, ask);
    assert.equal(told.error?.details.code, 'PAIRING_REQUIRED', 'the gateway\'s own page is heard');
    await page.context().close();
  });

  test('x22 a name that leads here reads neither the page nor health', async () => {
    const browser = await launch('--host-resolver-rules=MAP rebound.test 127.0.0.1');
    try {
      const page = await browser.newPage();
      const at = (name, file) => page.goto(`http://${name}:${stage.gateway.port}/${file}`);
      for (const file of [...FILES, 'health', 'healthz', 'ready', 'readyz']) {
        assert.equal((await at('127.0.0.1', file)).status(), 200, file);
        const reply = await at('rebound.test', file);
        assert.equal(`${reply.status()} ${(await reply.text()).slice(0, 40)}`, '421 Misdirected Request', file);
      }
    } finally {
      await browser.close();
    }
  });

  test('x28 in a frame of a foreign page it is not shown', async () => {
    const framing = await stranger(`<!doctype html><iframe src="${stage.address}"></iframe>`);
    try {
      const page = await stage.visitor();
      const sockets = [];
      page.on('websocket', (socket) => sockets.push(socket.url()));
      await page.goto(framing.at('127.0.0.1'), { waitUntil: 'load' });
      const [, frame] = page.frames();
      // The page has loaded while its frame may not yet know what became of it.
      assert.match(await until('the frame is somewhere', () => frame.url()), /^chrome-error:/);
      assert.equal(await frame.getByText('OpenClaw pairing').count(), 0);
      assert.deepEqual(sockets, []);
      await page.context().close();
    } finally {
      framing.close();
    }
  });

  test('x28 a page that opens it gets no hold of it, and cannot speak to it', async () => {
    const hostile = await stage.visitor();
    await hostile.context().addInitScript(() => addEventListener('message', () => (window.heard = true)));
    await hostile.goto(foreign.at('127.0.0.1'));
    const [ours] = await Promise.all([
      hostile.context().waitForEvent('page'),
      hostile.evaluate((address) => void (window.opened = open(address, 'known')), stage.address),
    ]);
    await ours.getByRole('heading', { name: 'Connect this browser' }).waitFor();
    const held = await hostile.evaluate(() => {
      opened.postMessage('speak', '*');
      return { closed: opened.closed, frames: opened.length };
    });
    assert.deepEqual(held, { closed: true, frames: 0 }, 'what the hostile page holds leads nowhere');
    const seen = await ours.evaluate(() => ({ opener, name, heard: window.heard }));
    assert.deepEqual(seen, { opener: null, name: '', heard: undefined });
    await hostile.context().close();
  });

  test('x28 nothing that is put into the page runs, is loaded, or is sent anywhere', async () => {
    const page = await stage.approved();
    stage.complaints.length = 0;
    foreign.asked.length = 0;
    const sinks = await page.evaluate(async () => {
      // What a debugger evaluates may evaluate code itself; what comes after may not.
      await new Promise((done) => setTimeout(done));
      const name = (does) => {
        try {
          does();
          return 'nothing';
        } catch (error) {
          return error.name;
        }
      };
      const script = document.createElement('script');
      return {
        html: name(() => (document.body.innerHTML = '<b>')),
        parsed: name(() => document.body.insertAdjacentHTML('beforeend', '<b>')),
        source: name(() => (script.src = 'data:text/javascript,ran=1')),
        handler: name(() => document.body.setAttribute('onclick', 'ran=1')),
        policy: name(() => trustedTypes.createPolicy('any', { createHTML: (text) => text })),
        code: name(() => Function('ran=1')()),
      };
    });
    assert.deepEqual(sinks, { html: 'TypeError', parsed: 'TypeError', source: 'TypeError', handler: 'TypeError', policy: 'TypeError', code: 'EvalError' });

    const broken = (does, ...args) =>
      page.evaluate(
        ([does, args]) =>
          new Promise((done) => {
            addEventListener('securitypolicyviolation', ({ effectiveDirective }) => done(effectiveDirective), { once: true });
            // As text it would be one more thing to trust.
            const make = (name, set) => document.body.appendChild(Object.assign(document.createElement(name), set));
            const acts = {
              script: () => {
                const script = document.createElement('script');
                script.append('window.ran = 1');
                document.body.append(script);
              },
              style: () => make('style', { textContent: 'body { color: red }' }),
              image: (url) => make('img', { src: url }),
              frame: (url) => make('iframe', { src: url }),
              form: (url) => make('form', { action: url, method: 'post' }).submit(),
              base: (url) => make('base', { href: url }),
              call: (url) => void fetch(url).catch(() => {}),
              module: (url) => void import(`${url}x.js`).catch(() => {}),
              socket: (url) => new WebSocket(url.replace('http', 'ws')),
              beacon: (url) => navigator.sendBeacon(url, 'x'),
            };
            acts[does](...args);
          }),
        [does, args],
      );
    const directives = {
      style: 'style-src-elem',
      image: 'img-src',
      frame: 'frame-src',
      form: 'form-action',
      base: 'base-uri',
      call: 'connect-src',
      module: 'script-src-elem',
      socket: 'connect-src',
      beacon: 'connect-src',
    };
    assert.match(await broken('script'), /^(script-src-elem|require-trusted-types-for)$/);
    for (const [does, directive] of Object.entries(directives)) assert.equal(await broken(does, foreign.at('127.0.0.1')), directive, does);
    assert.equal(await page.evaluate(() => window.ran), undefined);
    assert.deepEqual(foreign.asked, []);
    assert.ok(stage.complaints.length > Object.keys(sinks).length, 'a browser says so aloud');
    await page.context().close();
  });

  test('x28 a browser keeps a key that no script reads, its token, and nothing else', async () => {
    const page = await stage.approved();
    const { records, ...rest } = await kept(page);
    assert.deepEqual(rest, { cookies: [], local: {}, session: {} });
    assert.equal(records.length, 1);
    const [{ id, publicKey, privateKey, token, ...more }] = records;
    assert.deepEqual(privateKey, { type: 'private', extractable: false, readAs: [] });
    assert.deepEqual([id, publicKey, token].map((text) => typeof text), ['string', 'string', 'string']);
    assert.deepEqual(Object.keys(more).filter((name) => name !== 'scopes'), []);
    await page.context().close();
  });
});

describe('secrets', () => {
  test('o03 tokens and codes are nowhere but where they belong', async () => {
    const WRONG = 'a-token-that-is-not-the-one';
    const stage = await Stage.open({}, ['--log-level', 'trace']);
    try {
      const dashboard = await stage.dashboard();
      const owner = await stage.visitor();
      await owner.goto(`file://${dashboard.file}`, { waitUntil: 'commit' });
      await isIn(owner);
      await dashboard.ended();
      const other = await stage.approved();
      const wrong = await stage.visitor();
      await wrong.goto(`${stage.address}#token=${WRONG}`);
      await wrong.getByRole('heading', { name: 'Connect this browser' }).waitFor();
      const waits = await stage.visitor();
      await waits.goto(`${stage.address}#token=${TOKEN}`);
      await waiting(waits);

      const secrets = [TOKEN, WRONG, dashboard.code];
      for (const page of [owner, other]) {
        const { records } = await kept(page);
        assert.ok(records[0].token.length > 20);
        secrets.push(records[0].token);
      }
      const look = async (page, name) => {
        const { records, ...rest } = await kept(page);
        const shown = await page.evaluate(() => [document.documentElement.outerHTML, document.body.innerText, location.href, document.title].join('\n'));
        stage.printed.push([name, shown + JSON.stringify(rest)]);
      };
      for (const view of await owner.getByRole('navigation', { name: 'Views' }).getByRole('link').all()) {
        await view.click();
        await owner.getByRole('heading', { level: 2 }).first().waitFor();
        await owner.waitForLoadState('networkidle');
        await look(owner, await view.innerText());
      }
      for (const [name, page] of Object.entries({ other, wrong, waits })) await look(page, name);
      for (const args of [['journal', 'export'], ['audit'], ['devices', 'list', '--json'], ['logs', '--json']]) await stage.ours(...args);
      await stage.gateway.stop();
      stage.printed.push(['the gateway', stage.gateway.output]);
      assert.ok(stage.printed.find(([name]) => name === 'journal export')[1].includes('SetupCodeSpent'));
      assert.match(stage.gateway.output, /Listening on/);
      const canary = ['a canary', `x${secrets.at(-1)}x`];
      assert.deepEqual(whereSecretsAre(secrets, stage.gateway.home, [...stage.printed, canary]), ['a canary']);
    } finally {
      await stage.close();
    }
  });
});
