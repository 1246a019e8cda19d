// docs/first-customer.md, walked as it stands on a simulated Entra ID: each command, and what the page says one sees.
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { createTenant, startSimulator } from '../../src/simulator/index.ts';
import { openDatabase } from '../../src/store/database/pool.ts';
import { runCli, startCli } from '../support/cli.ts';
import { openBrowser, principalOf, type Shown, toConsent } from '../support/consent.ts';
import { isDeep } from '../support/deep.ts';
import { freePort } from '../support/free-port.ts';
import { codeIn, readPages } from '../support/pages.ts';
import { freshDatabase } from '../support/postgres.ts';
import { trust } from '../support/system.ts';

type Step = { readonly title: string; readonly commands: readonly string[]; readonly seen: readonly string[] };

/** Returns the steps of the page: their commands, and the words behind "Right when". */
function readSteps(): Step[] {
  const page = readPages().find(({ path }) => path === 'docs/first-customer.md');
  return (page?.text ?? '')
    .split(/^## (?=\d+\. )/m)
    .slice(1)
    .map((text) => {
      const [title = ''] = text.split('\n');
      const [, sentence = ''] = /Right when ([\s\S]*?)(?:\. [A-Z]|\.\n|$)/.exec(text) ?? [];
      const commands = [...text.matchAll(/^```sh run-by=.*\n([\s\S]*?)^```$/gm)].map(([, command = '']) =>
        command.trim(),
      );
      return { title, commands, seen: codeIn(sentence).map((word) => word.replace(/ …$/, '')) };
    });
}

test.runIf(isDeep)(
  'the way to the first customer is as the page says, from an empty database to an employee',
  async ({ onTestFinished }) => {
    const steps = readSteps();
    expect(steps.length).toBeLessThanOrEqual(12);
    expect(steps.map(({ title }) => Number.parseInt(title, 10))).toEqual(steps.map((_step, index) => index + 1));
    for (const { title, seen } of steps) expect(seen.length, title).toBeGreaterThan(0);

    const vendor = createTenant({ seed: 81, users: 1, name: 'Vendor' });
    const contoso = createTenant({ seed: 82, users: 8, groups: 2, name: 'Contoso' });
    const simulator = await startSimulator({ tenants: [contoso, vendor], consented: false, directoryRoles: true });
    onTestFinished(() => simulator.close());
    trust(simulator.certificate);
    const { options, consents } = simulator;
    // What the commands of step 2 do: test/unit/registration.test.ts runs them. Contoso forbids consent of its users.
    options.userConsent = false;
    options.appRoles = { [principalOf(vendor, 'user')]: ['Ops.Act'] };
    consents.grant(vendor.tenantId);
    const fresh = await freshDatabase({ migrated: false });
    onTestFinished(() => fresh.drop());
    const port = String(await freePort());
    const url = `http://localhost:${port}`;
    const { AZURE_TENANT_ID: _, ...variables } = simulator.environment();
    // Roles are of the whole server, which other tests share.
    const role = `portal_${randomBytes(6).toString('hex')}`;
    onTestFinished(async () => {
      const database = openDatabase(fresh.url);
      await database.raw(`drop owned by ${role}; drop role ${role}`);
      await database.destroy();
    });
    const environment = {
      ...{ ...variables, DATABASE_URL: fresh.url, PORT: '0' },
      ...{ ENTRA_SYNC_OPS_TENANT: vendor.tenantId, ENTRA_SYNC_PUBLIC_URL: url },
      ENTRA_SYNC_PORTAL_ROLE: role,
    };

    const stepOf = (verb: string) =>
      steps.find(({ commands }) => commands.some((one) => one.includes(`entra-sync ${verb}`)));
    /** Returns the words of the command of a verb as the page has it, on the addresses of this test. */
    const wordsOf = (verb: string) => {
      const line = stepOf(verb)?.commands.find((one) => one.includes(`entra-sync ${verb}`)) ?? expect.unreachable(verb);
      const [program, ...words] = line.replace(/\s+[#>].*$/, '').split(/\s+/);
      expect(program).toBe('entra-sync');
      return words.map((word) =>
        word === '8081' ? port : word.replace('https://sync.example.com', url).replace('entra_sync_portal', role),
      );
    };
    const expectSeen = (step: Step | undefined, text: string, of: readonly string[] = step?.seen ?? []) => {
      expect(of.length).toBeGreaterThan(0);
      for (const word of of) expect(text, step?.title).toContain(word);
    };
    const run = async (verb: string) => {
      const { code, stdout, stderr } = await runCli(wordsOf(verb), environment);
      expect(code, stdout + stderr).toBe(0);
      return stdout;
    };
    const serve = async (verb: string, seen: readonly string[]) => {
      const running = startCli(wordsOf(verb), environment);
      onTestFinished(async () => {
        running.interrupt();
        expect((await running.ended).code).toBe(0);
      });
      for (const word of seen) await running.shows(new RegExp(word));
    };
    const browserOf = async (principal: string): Promise<Shown> => {
      const browser = openBrowser();
      const picker = await browser.open(`${url}/`);
      return browser.open(`${picker.url}&account=${encodeURIComponent(principal)}`);
    };
    const stepAt = (number: number) => steps[number - 1];

    const [applied = '', upToDate = ''] = stepOf('migrate')?.seen ?? [];
    expectSeen(stepOf('migrate'), await run('migrate'), [applied]);
    expectSeen(stepOf('migrate'), await run('migrate'), [upToDate]);
    const script = await run('register');
    for (const part of ['/callback', '/entered', ...(stepOf('register')?.seen ?? [])]) expect(script).toContain(part);
    const checked = await run('doctor');
    expectSeen(stepOf('doctor'), checked);
    expect(checked.match(/! warning +redirect: /g)).toHaveLength(2);
    await serve('worker', stepOf('worker')?.seen ?? []);
    await run('grant');
    await serve('web', stepOf('web')?.seen ?? []);

    const me = principalOf(vendor, 'user');
    const empty = await browserOf(me);
    expectSeen(stepAt(6), empty.text);
    const done = (text: string) => text.match(/class="state done">Done/g)?.length;
    // The database, the application, the worker and the own sign-in; the invitation is next.
    expect([done(empty.text), /aria-current="step".*?<b>(.*?)\.</.exec(empty.text)?.[1]]).toEqual([4, 'An invitation']);

    // The commands that the page of the console names are those of the steps.
    for (const [, verb = ''] of empty.text.matchAll(/<code>entra-sync (\w+)/g))
      expect(stepOf(verb), verb).toBeDefined();

    const invitation = (await run('connect')).trim();
    expectSeen(stepOf('connect'), invitation);
    expect(done((await browserOf(me)).text)).toBe(5);
    const administrator = openBrowser();
    const connected = await administrator.choose(
      await toConsent(administrator, invitation, principalOf(contoso)),
      'accept',
    );
    expect(connected.status).toBe(200);
    expectSeen(stepAt(8), connected.text);
    expect(connected.text).toContain(`<a href="${url}/">`);
    expect(connected.text).toContain('A text to send them');

    const [active = ''] = stepOf('status')?.seen ?? [];
    await expect
      .poll(() => run('status'), { timeout: 120_000 })
      .toMatch(new RegExp(`${active}[\\s\\S]*\\b[1-9]\\d*\\b`));
    expectSeen(stepAt(10), (await browserOf(principalOf(contoso))).text);
    const employee = String(contoso.users()[0]?.properties.userPrincipalName);
    await expect
      .poll(async () => (await browserOf(employee)).text, { timeout: 120_000 })
      .toContain(stepAt(11)?.seen[0]);
    expect((await run('doctor')).match(/✓ ok +redirect: /g)).toHaveLength(2);
  },
);
