// The Control UI in a real browser: how one gets in, decides about others, and sees what happens.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { TOKEN, connectAs, isIn, play, shot, violations, waiting } from './kit.mjs';

const VIEWS = ['Devices', 'Journal', 'Provenance', 'Timeline', 'Policy', 'Health'];
const [READ, WRITE] = [['operator.read'], ['operator.read', 'operator.write']];

const card = (page, text) => page.getByRole('article').filter({ hasText: text });
const press = (where, name) => where.getByRole('button', { name, exact: true }).click();
const answer = (page, name) => press(page.getByRole('dialog'), name);
const isPaired = (page) => page.getByRole('heading', { name: 'Paired' }).waitFor();
const go = (page, view) => page.getByRole('link', { name: view, exact: true }).click();

/** Waits until the buttons of a row that just came can be pressed. */
async function ready(row) {
  await row.getByRole('button').first().waitFor();
  await row.locator('button[aria-disabled]').first().waitFor({ state: 'detached' });
  return row;
}

/** Has somebody ask for these scopes as the device of that name; the request. */
async function asks(page, known, scopes, displayName = known) {
  const { id, error } = await connectAs(page, { known, displayName, scopes });
  assert.equal(error?.details.code, 'PAIRING_REQUIRED', JSON.stringify(error));
  return { id, requestId: error.details.requestId };
}

/** A browser that asks for these scopes only, and was approved for them. */
async function narrow(stage, scopes) {
  const page = await stage.visitor();
  await page.goto(stage.address);
  await page.getByRole('heading', { name: 'Connect this browser' }).waitFor();
  await asksFor(page, scopes);
  await page.goto('about:blank');
  await page.goto(`${stage.address}#token=${TOKEN}`);
  await stage.ours('devices', 'approve', await waiting(page));
  await isIn(page);
  return page;
}

const asksFor = (page, scopes) => page.evaluate((scopes) => import('/device.js').then(({ Device }) => Device.narrow(scopes)), scopes);

play('a first visit is refused with what to type, and goes on by itself once that was done', async (stage) => {
  const page = await stage.visitor();
  await page.goto(`${stage.address}#token=${TOKEN}`);
  const request = await waiting(page);
  assert.equal(page.url(), stage.address, 'the token is gone from the address');
  await page.getByText(`openclaw devices approve ${request}`).first().waitFor();
  assert.equal(await page.getByRole('navigation').count(), 0);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await shot(page, `waits-${colorScheme}`);
    assert.deepEqual(await violations(page), [], colorScheme);
  }
  await stage.ours('devices', 'approve', request);
  await isPaired(page);
  const { paired } = await stage.list();
  assert.deepEqual(paired.map(({ clientId, scopes }) => [clientId, scopes.length]), [['openclaw-control-ui', 5]]);
});

play('a second browser is approved from the first', async (stage) => {
  const [first, second] = [await stage.approved(), await stage.visitor()];
  await second.goto(`${stage.address}#token=${TOKEN}`);
  const row = await ready(card(first, await waiting(second)));
  await press(row, 'Approve');
  await shot(first, 'approve');
  assert.deepEqual(await violations(first), []);
  await answer(first, 'Approve');
  await isPaired(second);
  assert.equal((await stage.list()).pending.length, 0);

  await card(second, '(this browser)').getByRole('link', { name: 'Who gave it that?' }).click();
  await second.getByRole('img', { name: 'admin, read, write, approvals, pairing as operator, through 2 acts, back to the owner of the gateway\'s host' }).waitFor();
  await shot(second, 'provenance-of-two');
});

play('a wrong token is told so, and the right one is asked for in the page', async (stage) => {
  const page = await stage.visitor();
  await page.goto(`${stage.address}#token=not-${TOKEN}`);
  await page.getByText(/token mismatch/).waitFor();
  await shot(page, 'asks');
  assert.deepEqual(await violations(page), []);
  await page.locator('#secret').fill(TOKEN);
  await press(page, 'Connect');
  await waiting(page);
});

play('a secret that comes into the address of a page that is open is shown and forgotten too', async (stage) => {
  const page = await stage.visitor();
  await page.goto(stage.address);
  await page.getByRole('heading', { name: 'Connect this browser' }).waitFor();
  await page.goto(`${stage.address}#token=${TOKEN}`);
  await waiting(page);
  assert.equal(page.url(), stage.address);
});

play('a secret that is wrong locks nobody out who was let in before', async (stage) => {
  const page = await stage.approved();
  await page.goto('about:blank');
  await page.goto(`${stage.address}#token=not-${TOKEN}`);
  await isIn(page);
});

play('a password is shown in the form, and is never left in the address', async (stage) => {
  const page = await stage.visitor();
  await page.goto(stage.address);
  await page.locator('#secret').fill(TOKEN);
  assert.equal(await page.getByLabel('Kind of secret').inputValue(), 'password');
  await press(page, 'Connect');
  await stage.ours('devices', 'approve', await waiting(page));
  await isIn(page);
  const other = await stage.visitor();
  await other.goto(`${stage.address}#password=${TOKEN}`);
  await waiting(other);
  assert.equal(other.url(), stage.address);
}, { auth: { mode: 'password', password: TOKEN } });

play('where no secret is asked for, a browser still waits for a person', async (stage) => {
  const page = await stage.visitor();
  await page.goto(stage.address);
  await stage.ours('devices', 'approve', await waiting(page));
  await isIn(page);
}, { auth: { mode: 'none' } });

play('a scope upgrade is shown beside what is held, and approved', async (stage) => {
  const page = await stage.approved();
  const before = await asks(page, 'phone', READ);
  await stage.ours('devices', 'approve', before.requestId);
  const { requestId } = await asks(page, 'phone', WRITE);
  const row = await ready(card(page, requestId));
  assert.match(await row.getByRole('heading').innerText(), /asks for more than it holds \(scope-upgrade\)/);
  const [asked, held] = await row.locator('.beside dd').all();
  assert.deepEqual(await asked.locator('li').allTextContents(), ['read', 'write (new)']);
  assert.deepEqual(await held.locator('li').allTextContents(), ['read']);
  await shot(page, 'upgrade');
  await press(row, 'Approve');
  await answer(page, 'Approve');
  await page.getByText('Approved.').waitFor();
  assert.equal((await connectAs(page, { known: 'phone', displayName: 'phone', scopes: WRITE })).ok, true);
});

play('o02 what a device calls itself is shown as text, one line, and does nothing', async (stage) => {
  const page = await stage.approved();
  const img = await asks(page, 'img', READ, '<img src=x onerror="document.title=1">');
  const unruly = '\u202e\u001b[31m\u200b\u2066\n';
  // Nobody who is not let in may send as much as 100 KB at once; what fits is shown.
  const big = await connectAs(page, { displayName: unruly.repeat(6_000), scopes: READ });
  assert.deepEqual([big.ok, big.closed], [undefined, 1009]);
  const bidi = await asks(page, 'bidi', READ, unruly.repeat(2_500));
  await card(page, '<img src=x').waitFor();
  await card(page, '\\u{202e}\\u{1b}[31m\\u{200b}').waitFor();
  const isPlain = async (view) => {
    assert.equal(await page.locator('main img').count(), 0, view);
    assert.doesNotMatch(await page.locator('body').innerHTML(), /[\u202e\u001b\u200b\u2066]/, view);
    const { height } = await page.locator('main').boundingBox();
    assert.ok(height < 6_000, `${view} is ${height} pixels high`);
  };
  await isPlain('requests');
  await shot(page, 'hostile');
  for (const { requestId } of [img, bidi]) await stage.ours('devices', 'approve', requestId);
  await stage.ours('devices', 'rename', img.id, '<script>document.title=1</script>');
  await card(page, '<script>').waitFor();
  await isPlain('devices');
  for (const view of VIEWS) {
    await go(page, view);
    await page.getByRole('heading', { level: 2 }).first().waitFor();
    await page.waitForLoadState('networkidle');
    await isPlain(view);
  }
});

play('x29 a row never moves under the pointer, and what changed is dead for half a second', async (stage) => {
  const page = await stage.approved();
  const older = await asks(page, 'older', READ, 'phone');
  const row = await ready(card(page, older.requestId));
  const approve = row.getByRole('button', { name: 'Approve', exact: true });
  await approve.hover();
  const where = await approve.boundingBox();

  // Another one of the same name comes mid-click; what tells them apart is the key.
  const other = await asks(page, 'other', WRITE, 'phone');
  await card(page, other.requestId).waitFor();
  assert.deepEqual(await approve.boundingBox(), where);
  const prints = await page.getByRole('article').locator('h3 code').allTextContents();
  assert.ok(prints[0].startsWith(older.id.slice(0, 8)) && prints[1].startsWith(other.id.slice(0, 8)), prints.join());

  // The one pointed at asks for something else: its row is over and stays where it is, and does nothing.
  const newer = await asks(page, 'older', WRITE, 'phone');
  await card(page, newer.requestId).waitFor();
  assert.deepEqual(await approve.boundingBox(), where);
  assert.equal(await approve.isDisabled(), true);
  await page.mouse.down();
  await page.mouse.up();
  assert.equal(await page.getByRole('dialog').count(), 0);

  // And a row that came just now takes no click either.
  const last = await asks(page, 'last', READ, 'phone');
  const came = card(page, last.requestId);
  await came.waitFor();
  await came.getByRole('button', { name: 'Approve' }).evaluate((button) => button.click());
  assert.equal(await page.getByRole('dialog').count(), 0);
  await press(await ready(came), 'Approve');
  await page.getByRole('dialog').getByText(last.requestId).waitFor();
  await answer(page, 'Approve');
  await page.getByText('Approved.').waitFor();
  const { paired } = await stage.list();
  assert.deepEqual(paired.filter(({ clientId }) => clientId === 'webchat-ui').map(({ deviceId }) => deviceId), [last.id]);
});

play('x29 a paired device takes nobody\'s place under the pointer, and comes first once nobody points', async (stage) => {
  const page = await stage.approved();
  const { requestId } = await asks(page, 'phone', READ);
  const button = card(page, '(this browser)').getByRole('button', { name: 'Remove' });
  await button.hover();
  await stage.ours('devices', 'approve', requestId);
  const rows = page.locator('[data-device]');
  await rows.nth(1).waitFor();
  assert.match(await rows.first().innerText(), /this browser/);
  await page.mouse.move(0, 0);
  const other = await asks(page, 'tablet', READ);
  await stage.ours('devices', 'approve', other.requestId);
  await rows.nth(2).waitFor();
  assert.match(await rows.last().innerText(), /this browser/);
});

play('x29 what was asked about is what is decided, whatever became of it meanwhile', async (stage) => {
  const page = await stage.approved();
  const before = await asks(page, 'phone', READ);
  await press(await ready(card(page, before.requestId)), 'Approve');
  await asks(page, 'phone', WRITE);
  await answer(page, 'Approve');
  await page.getByRole('alert').getByText(/superseded/).waitFor();
  assert.deepEqual((await stage.list()).paired.map(({ clientId }) => clientId), ['openclaw-control-ui']);
});

play('devices are renamed, rotated, revoked and removed, each after it was told what that does', async (stage) => {
  const page = await stage.approved();
  const { id, requestId } = await asks(page, 'phone', READ);
  await stage.ours('devices', 'approve', requestId);
  await connectAs(page, { known: 'phone', displayName: 'phone', scopes: READ });
  const row = page.locator(`[data-device="${id}"]`);
  await ready(row);
  await press(row, 'Rename');
  await page.getByRole('textbox', { name: 'Name' }).fill('the phone');
  await page.keyboard.press('Enter');
  await row.getByText('the phone').waitFor();
  const decide = async (button, tells) => {
    await press(await ready(row), button);
    await page.getByRole('dialog').getByText(tells).waitFor();
    assert.deepEqual(await violations(page), [], button);
    await answer(page, button);
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
  };
  await decide('Rotate operator token', /gets the new token/);
  await decide('Revoke operator', /holds nothing of the role/);
  await row.getByText(/^revoked/).waitFor();
  await decide('Remove', /loses all that it holds/);
  await row.waitFor({ state: 'detached' });
  const journal = await stage.ours('journal', 'show');
  for (const event of ['DeviceRenamed', 'TokenRotated', 'TokenRevoked', 'DeviceRemoved']) assert.match(journal, new RegExp(event));
});

play('a request is turned down, and what a device approved goes with it if that is said', async (stage) => {
  const [first, second] = [await stage.approved(), await stage.approved()];
  const [turned, phone] = [await asks(first, 'turned', READ), await asks(first, 'phone', READ)];
  await press(await ready(card(first, turned.requestId)), 'Reject');
  await answer(first, 'Reject');
  // It stays, without effect, for as long as it is pointed at.
  await first.getByText('Rejected.').waitFor();
  await first.mouse.move(0, 0);
  await card(first, turned.requestId).waitFor({ state: 'detached' });
  await press(await ready(card(second, phone.requestId)), 'Approve');
  await answer(second, 'Approve');
  await second.getByText('Approved.').waitFor();
  const own = await second.locator('[data-device]').filter({ hasText: '(this browser)' }).getAttribute('data-device');
  await press(await ready(first.locator(`[data-device="${own}"]`)), 'Remove');
  await first.getByRole('checkbox', { name: 'and remove too those that it approved' }).check();
  await answer(first, 'Remove');
  await first.getByText('Removed, and 1 that it approved.').waitFor();
  await second.getByRole('heading', { name: 'This browser was sent away' }).waitFor();
  const { paired, pending } = await stage.list();
  assert.deepEqual([paired.length, pending.length], [1, 0]);
});

play('a browser that rotates its own token stays connected', async (stage) => {
  const page = await stage.approved();
  const row = await ready(card(page, '(this browser)'));
  await press(row, 'Rotate operator token');
  await answer(page, 'Rotate operator token');
  await page.getByText('Rotated.').waitFor();
  await page.getByText('Connected', { exact: true }).waitFor();
  await page.reload();
  await isPaired(page);
});

play('rows of the journal appear as they happen, and are found again', async (stage) => {
  const page = await stage.approved();
  await go(page, 'Journal');
  const rows = page.getByRole('list', { name: 'Events, newest first' }).getByRole('listitem');
  await rows.first().waitFor();
  const { id, requestId } = await asks(page, 'late', READ);
  await rows.filter({ hasText: requestId }).filter({ hasText: 'PairingRequested' }).waitFor();
  await page.getByText('A device waits for an answer.').waitFor();
  await page.getByLabel('Filter').fill(id);
  assert.equal(await rows.filter({ hasNotText: id.slice(0, 8) }).count(), 0);
  await page.getByLabel('Kind').selectOption('ConnectionRefused');
  assert.equal(await rows.count(), 1);
  await page.goto(`${stage.address}#journal/from/4`);
  await rows.filter({ hasText: 'PairingRequested' }).first().waitFor();
  assert.equal(await rows.last().locator('.seq').innerText(), '4');
  await press(page, 'Show older');
  await rows.filter({ hasText: 'JournalCreated' }).waitFor();
  assert.equal(await rows.last().locator('.seq').innerText(), '1');
});

play('every view is sound for everybody, light and dark, wide and narrow', async (stage) => {
  const page = await stage.approved();
  for (const [known, scopes] of [['phone', READ], ['tablet', WRITE]]) await asks(page, known, scopes);
  await stage.ours('devices', 'approve', (await stage.list()).pending[0].requestId);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    for (const width of [1100, 320]) {
      await page.setViewportSize({ width, height: 800 });
      for (const view of VIEWS) {
        await go(page, view);
        await page.getByRole('heading', { level: 2 }).first().waitFor();
        await page.waitForLoadState('networkidle');
        await page.getByText('Approved.').waitFor({ state: 'detached' });
        const what = `${view.toLowerCase()}-${colorScheme}-${width}`;
        assert.deepEqual(await violations(page), [], what);
        const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(beyond <= 0, `${what} is ${beyond} pixels too wide`);
        await shot(page, what);
      }
    }
  }
});

play('everything is reached and decided by the keyboard alone', async (stage) => {
  const page = await stage.approved();
  const { requestId } = await asks(page, 'phone', READ);
  const row = await ready(card(page, requestId));
  const tabTo = async (target) => {
    for (let i = 0; i < 60; i++) {
      if (await target.evaluate((node) => node === document.activeElement)) return;
      await page.keyboard.press('Tab');
    }
    assert.fail('it is not reached');
  };
  await tabTo(row.getByRole('button', { name: 'Approve', exact: true }));
  await page.keyboard.press('Enter');
  await tabTo(page.getByRole('dialog').getByRole('button', { name: 'Approve' }));
  await page.keyboard.press('Enter');
  await page.getByText('Approved.').waitFor();
  await tabTo(page.getByRole('link', { name: 'Policy' }));
  await page.keyboard.press('Enter');
  await page.getByRole('textbox', { name: 'Policy text' }).waitFor();
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'policy', 'the next stop is in the view');
});

play('a second tab is the same device, and is let in with it', async (stage) => {
  const first = await stage.visitor();
  await first.goto(`${stage.address}#token=${TOKEN}`);
  const request = await waiting(first);
  const second = await first.context().newPage();
  await second.goto(stage.address);
  await second.getByRole('heading', { name: 'Connect this browser' }).waitFor();
  await stage.ours('devices', 'approve', request);
  await Promise.all([isIn(first), isIn(second)]);
  assert.equal((await stage.list()).paired.length, 1);
});

play('a browser whose clock is years off is let in, and tells times by the gateway', async (stage) => {
  const page = await stage.visitor();
  await page.clock.install({ time: new Date('2011-11-11T11:11:11Z') });
  await page.goto(`${stage.address}#token=${TOKEN}`);
  await stage.ours('devices', 'approve', await waiting(page));
  await page.clock.runFor(10_000);
  await isPaired(page);
  await page.getByText(/seconds? ago|now$/).first().waitFor();
  assert.equal(await page.getByText(/days|in \d+ (hours|seconds)/).count(), 0);
});

play('a browser that holds less says what it cannot do, asks for it, and has it once that is approved', async (stage) => {
  const page = await narrow(stage, ['operator.pairing']);
  await go(page, 'Journal');
  await page.getByText('This cannot be shown: missing scope: operator.read').waitFor();
  await shot(page, 'lacks');
  assert.deepEqual(await violations(page), []);
  const asked = page.locator('#notes code');
  await press(page, 'Ask for it');
  await stage.ours('devices', 'reject', (await asked.innerText()).split(' ').at(-1));
  await page.getByText(/was rejected\.$/).waitFor();
  await press(page, 'Ask for it');
  await stage.ours(...(await asked.innerText()).split(' ').slice(1));
  await page.getByRole('list', { name: 'Events, newest first' }).getByRole('listitem').first().waitFor();
  assert.equal(await page.getByText('This browser lacks').count(), 0);
});

play('a browser that asks for more may go on with what it holds', async (stage) => {
  const page = await narrow(stage, READ);
  await page.getByText(/missing scope: operator.pairing/).waitFor();
  await asksFor(page, undefined);
  await page.reload();
  await waiting(page);
  await press(page, 'Go on with what it holds');
  await isIn(page);
  await page.getByText(/^This browser lacks operator.admin/).waitFor();
});

play('a browser that can make no key says so', async (stage) => {
  const page = await stage.visitor();
  await page.addInitScript(() => (crypto.subtle.generateKey = () => Promise.reject(new Error('Ed25519 is not known'))));
  await page.goto(`${stage.address}#token=${TOKEN}`);
  await page.getByText(/keeps no key for this page, and nobody is let in without one: Ed25519 is not known/).waitFor();
  const plain = await stage.visitor();
  await plain.addInitScript(() => Object.defineProperty(window, 'isSecureContext', { value: false }));
  await plain.goto(stage.address);
  await plain.getByText(/Open this page at http:\/\/127.0.0.1 on the gateway's host, or by https/).waitFor();
});

play('a policy is tried and applied where it tightens, and for a loosening the command of the owner is shown', async (stage) => {
  const page = await stage.approved();
  await go(page, 'Policy');
  const text = page.getByRole('textbox', { name: 'Policy text' });
  const apply = page.getByRole('button', { name: 'Apply', exact: true });
  await page.getByText('In force since the journal began.').waitFor();
  const inForce = await text.inputValue();
  await text.fill(inForce.replace('restAfterRemoval: false', 'restAfterRemoval: true'));
  assert.equal(await apply.isDisabled(), true);
  await press(page, 'Try on history');
  await page.getByText('Decided again').waitFor();
  await press(page, 'Check');
  await page.getByText('It lets in nothing that is not let in now.').waitFor();
  await shot(page, 'policy-checked');
  assert.deepEqual(await violations(page), []);
  await apply.click();
  await answer(page, 'Apply');
  await page.getByText(/^In force since seq \d+, by device/).waitFor();
  await text.fill(inForce);
  await press(page, 'Check');
  const download = page.waitForEvent('download');
  await page.getByRole('link', { name: 'save it as policy.json5' }).click();
  const file = path.join(stage.gateway.home, 'policy.json5');
  await (await download).saveAs(file);
  assert.equal(fs.readFileSync(file, 'utf8'), inForce);
  assert.equal(await apply.isDisabled(), true);
  const command = (await page.locator('main .command code').innerText()).replace('policy.json5', file);
  await stage.ours(...command.split(' ').slice(1));
  await text.fill('{ version: 1, ');
  await press(page, 'Check');
  await page.getByText(/policy/).filter({ hasText: /line/ }).waitFor();
});

play('x16 what the owner did is told in every view until somebody saw it, and the journal is verified', async (stage) => {
  const page = await stage.approved();
  const notes = page.getByRole('region', { name: 'What somebody has to see' });
  await stage.approved();
  for (const label of ['a', 'b', 'c']) await stage.ours('devices', 'rename', (await stage.list()).paired[0].deviceId, label);
  await notes.getByText("5 acts of this host's owner that nobody said to have seen").waitFor();
  await notes.getByRole('link').click();
  const acts = page.getByRole('heading', { name: '5 acts' }).locator('..').getByRole('listitem');
  await acts.nth(4).waitFor();
  assert.match(await acts.last().innerText(), /by uid \d+, .*openclaw.* \(pid \d+\), /);
  await press(page, 'Verify every byte');
  await page.getByText(/^Sound: \d+ records, seq 1 to \d+\./).waitFor();
  await shot(page, 'health-verified');
  await press(page, 'I saw them');
  await answer(page, 'Seen');
  await notes.waitFor({ state: 'hidden' });
  assert.equal(await page.getByText('nobody said to have seen').count(), 0);
});

play('a burst of refusals stands out in the timeline, and leads to the journal', async (stage) => {
  const page = await stage.approved();
  for (let i = 0; i < 12; i++) await asks(page, `phone ${i}`, READ);
  await go(page, 'Timeline');
  await page.getByRole('img', { name: /13 waiting for approval/ }).waitFor();
  await shot(page, 'burst');
  await page.getByRole('link', { name: /The journal from seq/ }).first().click();
  await page.getByRole('heading', { name: 'Journal' }).waitFor();
});

play('a gateway that comes back is found again, in the view that was open', async (stage) => {
  const page = await stage.approved();
  await go(page, 'Journal');
  await page.getByLabel('Filter').fill('GatewayStarted');
  await stage.gateway.stop();
  await page.getByText(/Not reached; next try in \d+ s/).waitFor();
  await stage.gateway.startOn(stage.gateway.port);
  await page.getByText('Connected', { exact: true }).waitFor();
  const starts = page.getByRole('list', { name: 'Events, newest first' }).getByRole('listitem');
  await starts.nth(1).waitFor();
  assert.equal(await page.getByLabel('Filter').inputValue(), 'GatewayStarted', 'what somebody did there is left alone');
  // What a browser logs of a socket that nobody answers is no complaint of the page.
  stage.complaints = stage.complaints.filter((text) => !/ERR_CONNECTION_REFUSED/.test(text));
});

play('a browser that is revoked while it is open says so, and asks anew if it is told to', async (stage) => {
  const page = await stage.approved();
  const [{ deviceId }] = (await stage.list()).paired;
  await stage.ours('devices', 'revoke', '--device', deviceId, '--role', 'operator');
  await page.getByText('token revoked').waitFor();
  await shot(page, 'revoked');
  assert.deepEqual(await violations(page), []);
  await press(page, 'Ask again');
  await stage.ours('devices', 'approve', await waiting(page));
  // What was revoked is good no longer, so it takes the gateway's secret once more.
  await page.locator('#secret').fill(TOKEN);
  await press(page, 'Connect');
  await isIn(page);
});
