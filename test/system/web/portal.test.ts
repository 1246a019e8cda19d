// One's own page in the portal: what is shown, each act, what is wrong, and what others did meanwhile.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { servedBy } from '../../../src/cli/web-parts.ts';
import { consolePages } from '../../../src/web/console/pages.ts';
import { portalFrame } from '../../../src/web/portal/frame.ts';
import { portalPages, portalStartOf } from '../../../src/web/portal/pages.ts';
import { isDeep } from '../../support/deep.ts';
import { accountOf, changesOf, setRule, storedAccount, tenantWith } from '../../support/people-edit.ts';
import { openPortal, type Portal } from '../../support/portal.ts';
import { ask } from '../../support/stage.ts';
import { type Answer, serveOn, type WebBrowser } from '../../support/web.ts';

let portal: Portal;
let tenant: string;
let person: string;
let account: string;
let browser: WebBrowser;

beforeAll(async () => {
  portal = await openPortal();
  tenant = await tenantWith(portal.store, {
    displayName: { owner: 'directory' },
    officeLocation: { owner: 'directory' },
    inner: {},
    jobTitle: { max: 20 },
    mobilePhone: { pattern: '[+0-9 ]*' },
    phones: { valueType: 'text[]' },
    floor: { valueType: 'number' },
    pronouns: { mappedFrom: null },
    salary: { editableBy: ['manager'] },
  });
  const texts = {
    label: { en: 'Mobile phone', de: 'Mobiltelefon' },
    help: { en: 'With the country.', de: 'Mit Land.' },
  };
  await ask(
    portal.store,
    `update entra_sync.field_rules set shown = field <> 'inner', private = field = 'pronouns',
            kind = case field when 'mobilePhone' then 'tel' when 'phones' then 'list' else 'text' end,
            label = case field when 'mobilePhone' then :label::jsonb end, help = case field when 'mobilePhone' then :help::jsonb end
      where tenant_id = :tenant`,
    { tenant, label: JSON.stringify(texts.label), help: JSON.stringify(texts.help) },
  );
  await settings({ timeZone: 'Europe/Berlin', help: { text: 'Ask <IT>', url: 'https://help.example' } });
});

afterAll(() => portal.close());

beforeEach(async () => {
  person = randomUUID();
  account = await accountOf(portal.store, tenant, {
    objectId: person,
    mapped: {
      displayName: 'Ann <Ö>',
      jobTitle: 'Clerk',
      mobilePhone: '+1 555',
      phones: ['1', '2'],
      floor: 3,
      inner: 'h',
    },
  });
  browser = await portal.person(tenant, person);
});

const settings = (document: object) =>
  ask(
    portal.store,
    "insert into entra_sync.settings (tenant_id, document, actor) values (:tenant, :document, 'test')",
    {
      ...{ tenant, document: JSON.stringify(document) },
    },
  );
const valueIn = ({ text }: Answer, name: string) =>
  new RegExp(`name="${name.replace('.', '\\.')}"[^>]* value="([^"]*)"`).exec(text)?.[1];
const shown = () => browser.get('/me');
/** The form of a page as a browser would send it, with what a person typed. */
function filled(page: Answer, typed: Readonly<Record<string, string>>): Record<string, string> {
  const names = ['jobTitle', 'mobilePhone', 'floor', 'pronouns'];
  const was = Object.fromEntries(names.map((name) => [`was.${name}`, valueIn(page, `was.${name}`) ?? '']));
  const now = Object.fromEntries(names.map((name) => [`field.${name}`, typed[name] ?? was[`was.${name}`] ?? '']));
  const list = { 'was.phones': '1\n2', 'field.phones': typed.phones ?? '1\r\n2' };
  return { act: 'save', at: valueIn(page, 'at') ?? '', ...was, ...now, ...list };
}
const send = async (typed: Readonly<Record<string, string>>, more: Readonly<Record<string, string>> = {}) =>
  browser.post('/me', { ...filled(await shown(), typed), ...more });
const to = ({ status, headers }: Answer) => [status, headers.get('location')];
const edits = async () => (await storedAccount(portal.store, account)).overrides;
const byOther = (patch: object) =>
  ask(portal.store, "select directory.edit_account(:account, :patch::jsonb, 'Eve', 'manager')", {
    ...{ account, patch: JSON.stringify(patch) },
  });

describe('the page', () => {
  test('a pattern that a program could try for ever is matched by the database alone', async () => {
    const [number, pattern] = [`${'1'.repeat(26)}x`, '(?:[0-9]+ ?)+'];
    await setRule(portal.store, tenant, 'room', { pattern });
    onTestFinished(async () => {
      await ask(portal.store, "delete from entra_sync.field_rules where field = 'room'");
    });
    await ask(portal.store, 'update entra_sync.accounts set mapped = mapped || :room where account_id = :account', {
      ...{ account, room: JSON.stringify({ room: number }) },
    });
    const { text } = await shown();
    expect(/<input [^>]*name="field.room"[^>]*>/.exec(text)?.[0]).toMatch(`value="${number}"`);
    const refused = await browser.post('/me', {
      ...{ act: 'save', at: valueIn({ text } as Answer, 'at') ?? '', 'was.room': number, 'field.room': `${number}x` },
    });
    expect(refused.status).toBe(422);
    await byOther({ room: '12 34' });
    expect(/<input [^>]*name="field.room"[^>]*>/.exec((await shown()).text)?.[0]).not.toContain('pattern=');
  }, 5_000);

  test('has inputs for what the person may edit, and the rest as text', async () => {
    const { text, status } = await shown();
    expect(status).toBe(200);
    const [yours = '', company = ''] = text.split('id="company"');
    const inputs = [...yours.matchAll(/name="field\.(\w+)"/g)].map(([, name]) => name);
    expect(inputs).toEqual(['floor', 'jobTitle', 'mobilePhone', 'phones', 'pronouns']);
    expect(yours).toContain('<label for="field.mobilePhone">Mobile phone</label>');
    expect(yours).toMatch(
      /<input type="tel" inputmode="tel" id="field.mobilePhone"[^>]* autocomplete="mobile tel" pattern="\[\+0-9 \]\*"/,
    );
    expect(yours).toMatch(/id="field.jobTitle"[^>]* maxlength="20"/);
    expect(yours).toMatch(/<textarea id="field.phones"[^>]*>\n1\n2<\/textarea>/);
    expect(yours).toContain('With the country.');
    expect(company).toContain('<dd>Ann &lt;Ö&gt;</dd>');
    expect(company).toContain('Something is wrong? <a href="https://help.example">Ask &lt;IT&gt;</a>');
    expect(company).toContain('Without a value: officeLocation, salary.');
    expect(text).not.toContain('inner');
  });

  test('is in the language of the browser, or the one that was chosen, in the tenant’s time zone', async () => {
    const german = await browser.get('/me', { 'accept-language': 'de' });
    expect(german.text).toContain('<html lang="de">');
    expect(german.text).toContain('<label for="field.mobilePhone">Mobiltelefon</label>');
    expect(german.text).toContain('Zeitzone: Europe/Berlin.');
    const chosen = await browser.get('/me?lang=de');
    expect(chosen.headers.getSetCookie().join()).toMatch(/^entra-sync-language=de; Max-Age=31536000/);
    expect((await browser.get('/nowhere', { 'accept-language': 'de' })).text).toContain('<h1>Nicht gefunden</h1>');
  });

  test('leads a viewer who has pages there to the console of the same process, and back', async () => {
    const admin = {
      tenantId: tenant,
      objectId: person,
      actor: `entra:${tenant}/${person}`,
      directoryRole: 'admin',
    } as const;
    const header = ({ text }: Answer) => /<header[\s\S]*?<\/header>/.exec(text)?.[0] ?? '';
    const both = await serveOn(portal.store.database, [...portalPages, ...consolePages], {
      ...servedBy({ console: true, portal: true }),
      contractRole: portal.role,
    });
    try {
      const viewer = await both.browser(admin);
      expect(header(await viewer.get('/me'))).toContain(`href="/console/t/${tenant}">Console</a>`);
      expect(header(await viewer.get(`/console/t/${tenant}`))).toContain('href="/me">My page</a>');
      const plain = await both.browser({ ...admin, directoryRole: null });
      expect(header(await plain.get('/me'))).not.toContain('/console');
      // A portal that is served alone knows no console.
      expect(header(await (await portal.browser(admin)).get('/me'))).not.toContain('/console');
    } finally {
      await both.close();
    }
  });

  test('is off where the settings say so, and takes no form then', async () => {
    const before = await shown();
    await settings({ portal: { people: false } });
    expect((await shown()).text).toContain('<h1>Not in use here</h1>');
    const refused = await browser.post('/me', filled(before, { jobTitle: 'Boss' }));
    expect([refused.status, refused.text]).toEqual([422, expect.stringContaining('Not in use here')]);
    expect(await edits()).toEqual({});
    await settings({ timeZone: 'Europe/Berlin', portal: { history: '0d' } });
    expect((await shown()).text).not.toContain('id="history"');
    await settings({ timeZone: 'Europe/Berlin', help: { text: 'Ask <IT>', url: 'https://help.example' } });
  });
});

describe('a person alone', () => {
  test('saves what was changed, and nothing else', async () => {
    expect(to(await send({ jobTitle: ' Boss ', phones: '1\r\n\r\n3 ', floor: '4', pronouns: 'she/her' }))).toEqual([
      303,
      '/me?done=saved',
    ]);
    expect(await edits()).toEqual({ jobTitle: 'Boss', phones: ['1', '3'], floor: 4, pronouns: 'she/her' });
    expect(await changesOf(portal.store, account)).toMatchObject([
      { kind: 'account.edited', actor: `account:${account}` },
    ]);
    const after = await browser.get('/me?done=saved');
    expect(after.text).toContain('<p class="done" role="status">Saved.</p>');
    expect(after.text).toContain('The directory says <strong>1, 2</strong>.');
    expect(after.text).toMatch(
      /jobTitle:<\/span> <del><span class="hidden">was <\/span>Clerk<\/del> <ins>[^B]*Boss<\/ins>/,
    );
    expect(to(await send({}))).toEqual([303, '/me?done=unchanged']);
    const audit = await ask<{ detail: object }>(
      portal.store,
      "select detail from directory.audit where act = 'me.edited' and account_id = :account order by audit_id",
      { account },
    );
    expect(audit.map(({ detail }) => detail)).toEqual([
      { act: 'save', fields: ['floor', 'jobTitle', 'phones', 'pronouns'], outcome: 'done' },
      { act: 'save', outcome: 'done' },
    ]);
  });

  test('resets one field, and what else was typed is saved with it', async () => {
    await send({ jobTitle: 'Boss', mobilePhone: '7' });
    expect(to(await send({ pronouns: 'they' }, { act: 'reset:jobTitle' }))).toEqual([303, '/me?done=reset']);
    expect(await edits()).toEqual({ mobilePhone: '7', pronouns: 'they' });
  });

  test('resets all to the directory’s values; what the directory does not have stays', async () => {
    await send({ jobTitle: 'Boss', mobilePhone: '', pronouns: 'they' });
    const { text } = await shown();
    expect(text).toContain('Left empty. The directory says <strong>+1 555</strong>.');
    expect(to(await browser.post('/me', { act: 'reset_all', at: valueIn(await shown(), 'at') ?? '' }))).toEqual([
      303,
      '/me?done=reset',
    ]);
    expect(await edits()).toEqual({ pronouns: 'they' });
  });

  test('takes the last own edit back, as long as it shows', async () => {
    await send({ jobTitle: 'Boss' });
    await send({ jobTitle: 'Chief' });
    await byOther({ pronouns: 'Eve' });
    const page = await shown();
    const undo = { act: 'undo', at: valueIn(page, 'at') ?? '', change: valueIn(page, 'change') ?? '' };
    expect(to(await browser.post('/me', undo))).toEqual([303, '/me?done=undone']);
    expect(await edits()).toEqual({ jobTitle: 'Boss', pronouns: 'Eve' });
    await byOther({ jobTitle: 'Queen' });
    expect((await shown()).text).not.toContain('Undo my last change');
    const late = await browser.post('/me', undo);
    expect([late.status, late.text]).toEqual([409, expect.stringContaining('cannot be taken back any more')]);
    expect((await shown()).text).toContain('Another person set this.');
  });

  test('edits a page of a tenant that is disconnected, as the settings of such pages say', async () => {
    await ask(portal.store, "update entra_sync.accounts set state = 'manual' where account_id = :account", { account });
    expect((await shown()).text).toContain('name="field.officeLocation"');
    expect(to(await send({}, { 'field.officeLocation': 'Oslo', 'was.officeLocation': '' }))).toEqual([
      303,
      '/me?done=saved',
    ]);
    expect(await edits()).toEqual({ officeLocation: 'Oslo' });
  });

  test('comes back to the filled form after the end of the session', async () => {
    const form = filled(await shown(), { jobTitle: 'Boss' });
    await byOther({ jobTitle: 'Queen' });
    const ended = await portal.with().post('/me', form);
    const [kept = ''] = ended.headers.getSetCookie();
    expect(ended.status).toBe(401);
    const cookie = await portal.cookie({ tenantId: tenant, objectId: person, actor: 'entra:x/y' });
    const back = await portal.with(cookie).get('/me', { cookie: `entra-sync-test=${cookie}; ${kept.split(';')[0]}` });
    expect(back.text).toContain('Your session had ended.');
    expect(back.text).toMatch(/<title>Nothing was saved · /);
    expect([valueIn(back, 'field.jobTitle'), valueIn(back, 'was.jobTitle'), valueIn(back, 'at')]).toEqual([
      'Boss',
      'Clerk',
      form.at,
    ]);
    // It still says of which state it was filled.
    expect((await portal.with(cookie).post('/me', form)).status).toBe(409);
  });

  test('the form of one person is not shown to the next one at the same browser', async () => {
    const page = await shown();
    const [, mark = ''] = /name="_of" value="([^"]+)"/.exec(page.text) ?? [];
    const ended = await portal.with().post('/me', { ...filled(page, { jobTitle: 'Boss' }), _of: mark });
    const [kept = ''] = ended.headers.getSetCookie();
    const next = randomUUID();
    await accountOf(portal.store, tenant, { objectId: next, mapped: { jobTitle: 'Clerk' } });
    const backAs = async (objectId: string) => {
      const cookie = await portal.cookie({ tenantId: tenant, objectId, actor: 'entra:x/y' });
      return portal.with(cookie).get('/me', { cookie: `entra-sync-test=${cookie}; ${kept.split(';')[0]}` });
    };
    expect(valueIn(await backAs(person), 'field.jobTitle')).toBe('Boss');
    const others = await backAs(next);
    expect([others.status, valueIn(others, 'field.jobTitle'), others.text.includes('Boss')]).toEqual([
      200,
      'Clerk',
      false,
    ]);
    expect(others.headers.getSetCookie().join()).toMatch(/-form=;/);
  });
});

describe('wrong input', () => {
  test('is told at each field at once, in the language of the page; what was typed is kept, and nothing is saved', async () => {
    const typed = { jobTitle: 'a'.repeat(21), mobilePhone: 'none', floor: 'x', pronouns: 'they' };
    const refused = await browser.post('/me', filled(await shown(), typed), { 'accept-language': 'de' });
    expect(refused.status).toBe(422);
    const [summary = ''] = /<div class="error"[\s\S]*?<\/div>/.exec(refused.text) ?? [];
    expect([...summary.matchAll(/<a href="#([\w.]+)">([^<]*)</g)].map(([, at, words]) => [at, words])).toEqual([
      ['field.floor', 'floor: hier muss eine Zahl stehen.'],
      ['field.jobTitle', 'jobTitle: höchstens 20 Zeichen.'],
      ['field.mobilePhone', 'Mobiltelefon ist nicht so geschrieben, wie es sein muss.'],
    ]);
    expect(summary).toContain('autofocus');
    expect(refused.text.match(/aria-invalid="true"/g)).toHaveLength(3);
    for (const [name, value] of Object.entries(typed)) expect(valueIn(refused, `field.${name}`)).toBe(value);
    expect(await edits()).toEqual({});
    // Sent again without the faults, from the same beginning.
    expect(
      to(
        await browser.post('/me', {
          ...filled(refused, typed),
          'field.floor': '9',
          'field.jobTitle': 'ok',
          'field.mobilePhone': '',
        }),
      ),
    ).toEqual([303, '/me?done=saved']);
  });

  test('a hint stands once on the page of a value that does not fit', async () => {
    const { text } = await send({ mobilePhone: 'none' });
    expect(text.match(/>With the country\.|\. With the country\./g)).toHaveLength(1);
    expect(text).toContain('title="With the country."');
  });

  test('a stored value that does not fit keeps a browser from saving no other field', async () => {
    const stored = (mobilePhone: string) =>
      ask(
        portal.store,
        `update entra_sync.accounts set mapped = mapped || jsonb_build_object('mobilePhone', :mobilePhone::text) where account_id = :account`,
        { account, mobilePhone },
      );
    const input = ({ text }: Answer) => /<input[^>]*id="field.mobilePhone"[^>]*>/.exec(text)?.[0];
    await stored('at the desk');
    const page = await shown();
    expect(input(page)).not.toContain('pattern=');
    expect(to(await browser.post('/me', filled(page, { jobTitle: 'Boss' })))).toEqual([303, '/me?done=saved']);
    expect((await send({ mobilePhone: 'at home' })).status).toBe(422);
    // A browser refuses addresses of its own types too.
    const kind = `update entra_sync.field_rules set kind = :kind, pattern = :pattern where tenant_id = :tenant and field = 'mobilePhone'`;
    await ask(portal.store, kind, { tenant, kind: 'url', pattern: null });
    expect(input(await shown())).toContain('type="text" inputmode="url"');
    await stored('https://example.com');
    expect(input(await shown())).toContain('type="url"');
    await ask(portal.store, kind, { tenant, kind: 'mail', pattern: null });
    expect(input(await shown())).toContain('type="text" inputmode="email"');
    await stored('ann@example.com');
    expect(input(await shown())).toContain('type="email"');
    await ask(portal.store, kind, { tenant, kind: 'tel', pattern: '[+0-9 ]*' });
  });

  test('a field that is not the person’s own is no edit, whatever a form says', async () => {
    const forged = {
      'field.salary': '9',
      'was.salary': '',
      'field.displayName': 'Eve',
      'was.displayName': '',
      'field.inner': 'x',
      'was.inner': 'h',
    };
    expect(to(await send({}, forged))).toEqual([303, '/me?done=unchanged']);
    for (const act of ['reset:salary', 'reset:nothing', 'leave:salary'])
      expect((await send({}, { act })).status).toBe(303);
    for (const more of [
      { act: 'drop' },
      { at: 'yesterday' },
      { at: '0000-01-01T00:00:00Z' },
      { 'field.jobTitle': 'a\0b' },
    ])
      expect((await send({}, more)).status).toBe(422);
    expect(await edits()).toEqual({});
  });
});

test('an operator who looks as the person is told so, and the audit names the operator', async () => {
  const standing = (looksOnly: boolean) =>
    serveOn(portal.store.database, portalPages, {
      ...{ frame: portalFrame, start: portalStartOf, contractRole: portal.role },
      standing: { actor: 'Bob', looksOnly },
    });
  await byOther({ pronouns: 'earlier' });
  const form = filled(await shown(), { jobTitle: 'Boss' });
  const actors = () =>
    ask(portal.store, 'select act, actor from directory.audit where account_id = :account order by audit_id', {
      account,
    });
  expect(await actors()).toEqual([]);
  for (const looksOnly of [true, false]) {
    const web = await standing(looksOnly);
    const session = { tenantId: tenant, objectId: person, actor: 'Bob' };
    const operator = await web.browser(session);
    const page = await operator.get('/me');
    expect(page.text).toMatch(
      /<p class="bar">This is the portal as <strong>Ann &lt;Ö&gt;<\/strong> sees it, opened by Bob/,
    );
    expect(page.text.includes('Nothing can be saved here.')).toBe(looksOnly);
    // On another database than the demo's it is a person whose earlier values they are.
    expect(page.text.includes('earlier values are for the person alone')).toBe(looksOnly);
    expect(page.text.includes('<button class="main"')).toBe(!looksOnly);
    expect((await operator.post('/me', form)).status).toBe(looksOnly ? 404 : 303);
    await web.close();
  }
  expect(await edits()).toEqual({ jobTitle: 'Boss', pronouns: 'earlier' });
  expect(await actors()).toEqual([
    { act: 'person.viewed', actor: 'Bob' },
    { act: 'person.viewed', actor: 'Bob' },
    { act: 'me.edited', actor: 'Bob' },
  ]);
});

describe('two people at once', () => {
  test('rule 42: both values stand side by side, and nothing is written until the person decides', async () => {
    const page = await shown();
    await byOther({ jobTitle: 'Queen', mobilePhone: '8' });
    const conflict = await browser.post('/me', filled(page, { jobTitle: 'Boss', mobilePhone: '9', pronouns: 'they' }));
    expect(conflict.status).toBe(409);
    expect(conflict.text.match(/<li><a href="#field\.\w+">[^<]*has changed since/g)).toHaveLength(2);
    expect(conflict.text).toMatch(/<dt>You typed<\/dt><dd>Boss<\/dd><dt>Saved meanwhile<\/dt><dd>Queen/);
    expect(conflict.text).toMatch(/<dt>You typed<\/dt><dd>9<\/dd><dt>Saved meanwhile<\/dt><dd>8/);
    expect(await edits()).toEqual({ jobTitle: 'Queen', mobilePhone: '8' });
    const again = {
      ...filled(conflict, {}),
      'field.jobTitle': 'Boss',
      'field.mobilePhone': '9',
      'field.pronouns': 'they',
    };
    expect(to(await browser.post('/me', { ...again, act: 'leave:mobilePhone' }))).toEqual([303, '/me?done=saved']);
    expect(await edits()).toEqual({ jobTitle: 'Boss', mobilePhone: '8', pronouns: 'they' });
  });

  test('another field, a second press and a second tab are no conflict', async () => {
    const page = await shown();
    const form = filled(page, { jobTitle: 'Boss' });
    expect(to(await browser.post('/me', form))).toEqual([303, '/me?done=saved']);
    expect(to(await browser.post('/me', form))).toEqual([303, '/me?done=unchanged']);
    expect(to(await browser.post('/me', filled(page, { pronouns: 'they' })))).toEqual([303, '/me?done=saved']);
    expect(to(await browser.post('/me', { ...form, act: 'reset:jobTitle' }))).toEqual([409, null]);
    expect(await edits()).toEqual({ jobTitle: 'Boss', pronouns: 'they' });
    expect(await changesOf(portal.store, account)).toHaveLength(2);
  });

  // It waits for the three seconds of a statement.
  test.runIf(isDeep)('an account that another session holds is told as busy, with what was typed', async () => {
    const form = filled(await shown(), { jobTitle: 'Boss' });
    await portal.store.database.transaction(async (other) => {
      await other.raw('select from entra_sync.accounts where account_id = :account for update', { account });
      const busy = await browser.post('/me', form);
      expect([busy.status, valueIn(busy, 'field.jobTitle')]).toEqual([422, 'Boss']);
      expect(busy.text).toContain('something else holds the data');
    });
  });
});
