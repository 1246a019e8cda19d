// A form is not lost: not when its session has ended, when a reason is wanted first, or when the database is late or away.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { openDatabase, rows } from '../../src/store/database/pool.ts';
import { access, type Route } from '../../src/web/access.ts';
import { html, markOf } from '../../src/web/html.ts';
import { action, page } from '../../src/web/page.ts';
import { typedText } from '../../src/web/typed.ts';
import { isDeep } from '../support/deep.ts';
import { tenantWith } from '../support/people-edit.ts';
import { freshDatabase } from '../support/postgres.ts';
import { run } from '../support/postgres-admin.ts';
import { ask } from '../support/stage.ts';
import { type Answer, cookieName, type OwnWeb, openWeb, ops, serveOn } from '../support/web.ts';

// Routes of this test alone.
const lines: Record<string, readonly string[]> = {
  'GET /console/t/:tenant/kept': ['ops_read', 'admin'],
  'POST /console/t/:tenant/kept': ['ops_act', 'admin'],
};
Object.assign(access, lines);

let late = false;

const keptPage = page({
  route: 'GET /console/t/:tenant/kept' as Route,
  query: { text: z.string() },
  asksReason: true,
  load: async (read) => {
    if (late) await rows(read, "select set_config('statement_timeout', '10ms', true)");
    if (late) await rows(read, 'select pg_sleep(9)');
    return {};
  },
  render: (_data, { form }) => ({
    title: 'Kept',
    content: html`<h1>the page</h1><p>typed ${typedText(form, 'text') ?? 'nothing'}</p>${form?.shown ?? html``}`,
  }),
});

const keep = action({
  route: 'POST /console/t/:tenant/kept' as Route,
  form: { text: z.string(), way: z.enum(['done', 'late', 'told', 'defect', 'refused']).default('done') },
  audit: 'test.kept',
  statementMs: 100,
  act: async (database, { query: { way }, params }) => {
    if (way === 'late') await rows(database, 'select pg_sleep(9)');
    if (way === 'defect') throw new Error('a defect');
    if (way === 'told') return { told: html`<p>the secret that is shown once</p>` };
    if (way === 'refused') return { problems: [{ field: 'text', message: 'This does not fit.' }] };
    return { to: `/console/t/${params.tenant}/kept` };
  },
  again: keptPage,
});

let web: OwnWeb;
let tenant: string;
let path: string;
let reasonPath: string;

beforeAll(async () => {
  web = await openWeb([keptPage, keep], { statementMs: 200 });
  tenant = await tenantWith(web.store, {});
  path = `/console/t/${tenant}/kept`;
  reasonPath = `/console/t/${tenant}/reason`;
});

afterAll(async () => {
  for (const name of Object.keys(lines)) delete (access as Record<string, unknown>)[name];
  await web.close();
});

beforeEach(async () => {
  late = false;
  await ask(web.store, "select set_config('entra_sync.audit_upkeep', 'on', false)");
  await ask(web.store, 'truncate entra_sync.audit');
});

const auditOf = () =>
  ask<{ act: string; outcome: string | null }>(
    web.store,
    "select act, detail ->> 'outcome' as outcome from directory.audit order by audit_id",
  );
const outcomesOf = async () => (await auditOf()).map(({ act, outcome }) => `${act} ${outcome}`);

/** Makes a person of the vendor, who has a session, and a second one after it. */
const vendor = () => {
  const session = { ...ops('act'), actor: `entra:${randomUUID()}/x` };
  return { of: markOf(session), cookie: () => web.cookie(session), browser: () => web.browser(session) };
};
const admin = () =>
  web.browser({ tenantId: tenant, objectId: randomUUID(), directoryRole: 'admin', actor: `entra:${tenant}/x` });
const adminMark = () => markOf({ actor: `entra:${tenant}/x` });

/** Returns the cookies that an answer sets, as the browser sends them. */
const setBy = ({ headers }: Answer) =>
  headers
    .getSetCookie()
    .map((one) => one.split(';')[0])
    .join('; ');

/** Returns the form that a page holds: its address, and its values as a browser would send them. */
function heldIn(answer: Answer): { action: string; form: Record<string, string> } {
  const [, action = '', inputs = ''] =
    /<form method="post" action="([^"]*)">((?:<input type="hidden"[^>]*>)+)<button>/.exec(answer.text) ?? [];
  const values = [...inputs.matchAll(/name="([^"]*)" value="([^"]*)"/g)].map(([, name = '', value = '']) => [
    name,
    unescaped(value),
  ]);
  return { action: unescaped(action), form: { ...Object.fromEntries(values), _token: '' } };
}
const unescaped = (text: string) =>
  text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&');

describe('a reason whose session has ended', () => {
  test('is there again after the sign-in, with the page that it is for, and opens nothing by itself', async () => {
    const { of, cookie } = vendor();
    const ended = await web.with().post(reasonPath, { reason: 'ticket <4711>', to: `${path}?text=a`, _of: of });
    expect([ended.status, ended.text.includes('Your session has ended')]).toEqual([401, true]);
    const value = await cookie();
    const back = await web.with(value).get(`${path}?text=a`, { cookie: `${cookieName}=${value}; ${setBy(ended)}` });
    expect(back.text).toContain('name="reason" value="ticket &lt;4711&gt;"');
    expect(back.text).toContain(`name="to" value="${path}?text=a"`);
    expect(back.text).toContain('Your session had ended.');
    expect(back.text).not.toContain('the page');
    // Once shown it is gone.
    expect(setBy(back)).toBe(`${cookieName}-reason=`);
    expect(await auditOf()).toEqual([]);
  });

  test('is shown to no other person, and is kept for no other site', async () => {
    const [one, other] = [vendor(), await vendor().cookie()];
    const ended = await web.with().post(reasonPath, { reason: 'ticket 4711', to: path, _of: one.of });
    const theirs = await web.with(other).get(path, { cookie: `${cookieName}=${other}; ${setBy(ended)}` });
    expect([theirs.text.includes('A reason first'), theirs.text.includes('4711')]).toEqual([true, false]);
    const evil = await web.with().post(reasonPath, { reason: 'x', to: path }, { 'sec-fetch-site': 'cross-site' });
    expect([evil.status, evil.headers.getSetCookie()]).toEqual([403, []]);
  });

  test('comes back from a tab that stayed open, after a sign-in in another', async () => {
    const { of, browser } = vendor();
    const form = { reason: 'ticket 4711', to: path, _token: 'x'.repeat(43), _of: of };
    const back = await (await browser()).post(reasonPath, form);
    expect([back.status, back.text.includes('name="reason" value="ticket 4711"')]).toEqual([422, true]);
    expect(back.text).toContain('Your session had ended.');
    expect((await (await vendor().browser()).post(reasonPath, form)).status).toBe(403);
    expect(await outcomesOf()).toEqual(Array.from({ length: 2 }, () => 'people.reason_given not_from_this_page'));
  });

  test('leaves the form of an act that waits for it where it is', async () => {
    const { of, cookie } = vendor();
    const act = await web.with().post(path, { text: 'mine', _of: of });
    const reason = await web.with().post(reasonPath, { reason: 'ticket 4711', to: path, _of: of });
    const value = await cookie();
    const headers = { cookie: `${cookieName}=${value}; ${setBy(act)}; ${setBy(reason)}` };
    expect((await web.with(value).get(path, headers)).text).toContain('value="ticket 4711"');
    await web.with(value).post(reasonPath, { reason: 'ticket 4711', to: path }, headers);
    expect((await web.with(value).get(path, headers)).text).toContain('typed mine');
  });
});

describe('an act whose time is over', () => {
  const locked = async (table: string, work: () => Promise<Answer>) => {
    const holds = web.store.database;
    return holds.transaction(async (other) => {
      await other.raw(`lock table ${table} in share mode`);
      return work();
    });
  };

  test.runIf(isDeep)('a reason is taken back, and its form says so with what was typed', async () => {
    const { browser } = vendor();
    const sender = await browser();
    const answer = await locked('entra_sync.audit', () =>
      sender.post(reasonPath, { reason: 'ticket <4711>', to: `${path}?text=a` }),
    );
    expect(answer.status).toBe(503);
    expect(answer.text).toContain('name="reason" value="ticket &lt;4711&gt;"');
    expect(answer.text).toContain(`name="to" value="${path}?text=a"`);
    expect(answer.text).toContain('Another transaction held what this act changes');
    expect((await sender.get(path)).text).not.toContain('the page');
    await sender.post(reasonPath, { reason: 'ticket 4711', to: path });
    expect((await sender.get(path)).text).toContain('the page');
  });

  test('a sign-out is taken back whole, and says that the person is still signed in', async () => {
    const sender = await admin();
    const answer = await locked('entra_sync.audit', () => sender.post('/leave'));
    expect(answer.status).toBe(503);
    expect(answer.text).toContain('You are still signed in');
    expect(answer.text).toContain('did not end your session within 1 s');
    expect(answer.text).toContain(`name="_token" value="${sender.token}"`);
    expect((await sender.get(path)).text).toContain('the page');
    expect((await sender.post('/leave')).status).toBe(303);
    expect((await sender.get(path)).status).toBe(401);
    expect(await outcomesOf()).toEqual(['sign_out null']);
  });
});

test('a sign-out of an earlier session of the same person asks to be pressed again, and that of another does nothing', async () => {
  const sender = await admin();
  const old = { _token: 'x'.repeat(43), _of: adminMark() };
  const asked = await sender.post('/leave', old);
  expect([asked.status, asked.text.includes('You are still signed in')]).toEqual([422, true]);
  expect(asked.text).toContain(`name="_token" value="${sender.token}"`);
  expect((await sender.post('/leave', { ...old, _of: markOf({ actor: 'x' }) })).status).toBe(403);
  expect((await sender.post('/leave', old, { 'sec-fetch-site': 'cross-site' })).status).toBe(403);
  expect((await sender.get(path)).status).toBe(200);
});

describe('where the page that shows a form again is late', () => {
  test.each(['late', 'refused'])('what was typed is told, and comes back by a button (%s)', async (way) => {
    const sender = await admin();
    late = true;
    const form = { text: '<b>what I typed', way, _of: adminMark(), 'was.text': 'earlier' };
    const told = await sender.post(path, form);
    expect(told.status).toBe(503);
    expect(told.text).toContain('This takes too long');
    expect(told.text).toContain(way === 'late' ? 'It took longer than' : 'This does not fit.');
    expect(told.text).toMatch(/<dt>text<\/dt><dd[^>]*>&lt;b&gt;what I typed<\/dd>/);
    // Late again, it is still there.
    const held = heldIn(told);
    expect([held.action, held.form.text]).toEqual([path, form.text]);
    const again = await sender.post(held.action, held.form);
    expect([again.status, heldIn(again).form]).toEqual([503, held.form]);
    late = false;
    const back = await sender.post(held.action, held.form);
    expect([back.status, back.text.includes('typed &lt;b&gt;what I typed')]).toEqual([422, true]);
    expect(back.text).toContain('Nothing is sent yet.');
    expect((await outcomesOf()).filter((one) => one.endsWith('done'))).toEqual([]);
  });

  test('a form that a sign-in brings back stays kept until it is shown', async () => {
    const ended = await web.with().post(path, { text: 'mine', _of: adminMark() });
    const value = await web.cookie({
      ...{ tenantId: tenant, objectId: randomUUID(), directoryRole: 'admin', actor: `entra:${tenant}/x` },
    });
    const headers = { cookie: `${cookieName}=${value}; ${setBy(ended)}` };
    late = true;
    const slow = await web.with(value).get(path, headers);
    expect([slow.status, slow.headers.getSetCookie(), slow.text.includes('mine')]).toEqual([503, [], true]);
    late = false;
    expect((await web.with(value).get(path, headers)).text).toContain('typed mine');
  });

  test('what is told once is told all the same', async () => {
    const sender = await admin();
    late = true;
    const told = await sender.post(path, { text: 'x', way: 'told' });
    expect([told.status, told.text.includes('the secret that is shown once')]).toEqual([503, true]);
  });
});

test('a defect, and a database that is away, keep what was typed; a form of elsewhere is shown nowhere', async () => {
  const sender = await admin();
  const form = { text: 'what I typed', way: 'defect', _of: adminMark() };
  const failed = await sender.post(path, form);
  expect([failed.status, heldIn(failed).form.text]).toEqual([500, 'what I typed']);
  const fresh = await freshDatabase();
  const database = openDatabase(fresh.url);
  const own = await serveOn(database, [keptPage, keep]);
  const [server, name] = [inject('postgresUrl'), new URL(fresh.url).pathname.slice(1)];
  try {
    const browser = await own.browser(ops('act'));
    await run(server, `alter database ${name} allow_connections false`);
    await run(server, `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
    const away = await browser.post(path, form);
    expect([away.status, heldIn(away).form.text]).toEqual([503, 'what I typed']);
    expect(away.text).toContain('Look first whether your form was saved.');
    const evil = await browser.post(path, form, { 'sec-fetch-site': 'cross-site' });
    expect([evil.status, evil.text.includes('what I typed')]).toEqual([503, false]);
    const reason = await browser.post(reasonPath, { reason: 'ticket 4711', to: path });
    expect([reason.status, heldIn(reason).form.reason]).toEqual([503, 'ticket 4711']);
  } finally {
    await own.close();
    await database.destroy();
    await fresh.drop();
  }
});

describe('a form that no cookie holds', () => {
  const large = `<${'x'.repeat(60_000)}`;

  test('waits in its page for the printed address of --local, and comes back from there', async () => {
    const of = markOf({ actor: 'the operator' });
    const ended = await web.with().post(path, { text: large, _of: of });
    expect([ended.status, ended.headers.getSetCookie()]).toEqual([401, []]);
    expect(ended.text).toContain('the address that the terminal shows');
    const held = heldIn(ended);
    expect([held.action, held.form.text]).toEqual([path, large]);
    const entered = await web.with().get(web.enter());
    const [, value = ''] = /=([\w-]+);/.exec(entered.headers.getSetCookie()[0] ?? '') ?? [];
    const sender = web.with(value);
    // The reason comes first: meanwhile the form waits in its page.
    const wanted = await sender.post(held.action, held.form);
    expect([wanted.status, wanted.text.includes('A reason first')]).toEqual([422, true]);
    const waiting = heldIn(wanted);
    expect([waiting.action, waiting.form.text, wanted.text.includes(`href="${path}"`)]).toEqual([path, large, true]);
    await sender.post(reasonPath, { reason: 'ticket 4711', to: path });
    const back = await sender.post(waiting.action, waiting.form);
    expect([back.status, back.text.includes(`typed &lt;${large.slice(1)}`)]).toEqual([422, true]);
  });

  test('a small one waits there too', async () => {
    const ended = await web.with().post(path, { text: 'mine', _of: 'x' });
    expect([ended.status, heldIn(ended).form.text]).toEqual([401, 'mine']);
  });
});
