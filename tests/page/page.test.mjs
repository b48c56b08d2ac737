// The Control UI in a real browser: how one gets in, decides about others, and sees what happens.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import path from 'node:path';
import { Stage, TOKEN, connectAs, violations, waiting } from './kit.mjs';

const VIEWS = ['Devices', 'Journal', 'Provenance', 'Timeline', 'Policy', 'Health'];
const shot = (page, name) => page.screenshot({ path: path.join(process.env.PAGE_SHOTS, `${name}.png`), fullPage: true });
const card = (page, text) => page.getByRole('article').filter({ hasText: text });
const answer = async (page, name) => page.getByRole('dialog').getByRole('button', { name, exact: true }).click();

describe('the page', () => {
  let stage;
  let first;
  before(async () => (stage = await Stage.open()));
  after(() => stage.close());

  test('a first visit is refused with what to type, and goes on by itself once that was done', async () => {
    first = await stage.visitor();
    await first.goto(`${stage.address}#token=${TOKEN}`);
    const request = await waiting(first);
    assert.equal(first.url(), stage.address, 'the token is gone from the address');
    await first.getByText(`openclaw devices approve ${request}`).first().waitFor();
    await shot(first, 'waits');
    assert.deepEqual(await violations(first), []);
    await stage.ours('devices', 'approve', request);
    await first.getByRole('heading', { name: 'Paired' }).waitFor();
    const { paired } = await stage.list();
    assert.deepEqual(paired.map(({ clientId, scopes }) => [clientId, scopes.length]), [['openclaw-control-ui', 5]]);
  });

  test('a second browser is approved from the first', async () => {
    const second = await stage.visitor();
    await second.goto(`${stage.address}#token=${TOKEN}`);
    const request = await waiting(second);
    await card(first, request).getByRole('button', { name: 'Approve' }).click();
    await shot(first, 'approve');
    assert.deepEqual(await violations(first), []);
    await answer(first, 'Approve');
    await second.getByRole('heading', { name: 'Paired' }).waitFor();
    assert.equal((await stage.list()).pending.length, 0);
    await second.context().close();
  });

  test('o02 what a device calls itself is shown as text, one line, and does nothing', async () => {
    await connectAs(first, { displayName: '<img src=x onerror="document.title=1">', scopes: ['operator.read'] });
    const bidi = '\u202e\u001b[31m\u200b'.repeat(2_500);
    const long = await connectAs(first, { displayName: bidi, scopes: ['operator.read'] });
    assert.equal(long.error?.details.code, 'PAIRING_REQUIRED', JSON.stringify(long));
    await card(first, '<img src=x').waitFor();
    assert.equal(await first.locator('main img').count(), 0);
    const shown = await first.locator('main').innerText();
    assert.doesNotMatch(shown, /[\u202e\u001b\u200b]/);
    await shot(first, 'hostile');
    for (const reject of (await stage.list()).pending) await stage.ours('devices', 'reject', reject.requestId);
    await first.getByText('Nobody waits.').waitFor();
  });

  test('rows of the journal appear as they happen', async () => {
    await first.getByRole('link', { name: 'Journal' }).click();
    await first.getByRole('list', { name: 'Events, newest first' }).locator('li').first().waitFor();
    const { id } = await connectAs(first, { displayName: 'late', scopes: ['operator.read'] });
    await first.getByText(`device ${id} asks for operator.read`).first().waitFor();
    for (const { requestId } of (await stage.list()).pending) await stage.ours('devices', 'reject', requestId);
  });

  test('every view is sound for everybody, light and dark, wide and narrow', async () => {
    for (const colorScheme of ['light', 'dark']) {
      await first.emulateMedia({ colorScheme });
      for (const width of [1100, 360]) {
        await first.setViewportSize({ width, height: 800 });
        for (const view of VIEWS) {
          await first.getByRole('link', { name: view }).click();
          await first.getByRole('heading', { level: 2 }).first().waitFor();
          await first.waitForLoadState('networkidle');
          assert.deepEqual(await violations(first), [], `${view}, ${colorScheme}, ${width}`);
          await shot(first, `${view.toLowerCase()}-${colorScheme}-${width}`);
        }
      }
    }
    await first.setViewportSize({ width: 1100, height: 800 });
  });

  test('x28 it frames nowhere, runs nothing that is not its own, and asks nobody else', async () => {
    const reply = await fetch(stage.address);
    const policy = reply.headers.get('content-security-policy');
    assert.match(policy, /^default-src 'none';/);
    assert.doesNotMatch(policy, /unsafe/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.deepEqual([...stage.hosts], [stage.gateway.authority]);
    assert.deepEqual(stage.complaints, []);
  });

  test('a gateway that comes back is found again', async () => {
    await first.getByRole('link', { name: 'Devices' }).click();
    await stage.gateway.stop();
    await first.getByText(/Not reached/).waitFor();
    await stage.gateway.startOn(stage.gateway.port);
    await first.getByText('Connected', { exact: true }).waitFor();
  });

  test('a browser that is revoked while it is open says so', async () => {
    const { paired } = await stage.list();
    for (const { deviceId } of paired) await stage.ours('devices', 'revoke', '--device', deviceId, '--role', 'operator');
    await first.getByText('token revoked').waitFor();
    await shot(first, 'revoked');
    assert.deepEqual(await violations(first), []);
  });
});
