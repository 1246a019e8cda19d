// The permissions of a tenant's token and the end of its credential: a cycle notes them, refused or not, and the page of the
// tenant and the command line tell them.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { runCli } from '../../support/cli.ts';
import { failureOf, openWorld } from '../../support/system.ts';
import { ops, serveOn } from '../../support/web.ts';

/** Returns the rows of the table of permissions, and the line about the credential, without their tags. */
function sectionOf(html: string): string[] {
  const text = (one: string) =>
    one
      .replaceAll(/<[^>]*>/g, ' ')
      .replaceAll(/\s+/g, ' ')
      .trim();
  const [, section = ''] = html.split(/id="permissions"|<h2 id="settings"/);
  return [...section.matchAll(/<tr role="row"><th scope="row".*?<\/tr>|<p.*?<\/p>/gs)].map(([one]) => text(one));
}

test('what is granted, missing and beyond need is told after the next cycle, whether the token was refused or not', async () => {
  const { simulator, tenant, database, cycle, url } = await openWorld();
  const web = await serveOn(database);
  const operator = await web.browser(ops('read'));
  const page = `/console/t/${tenant.tenantId}`;
  const shown = async () => sectionOf((await operator.get(page)).text);
  const secret = expect.stringMatching(/^Credential. A client secret: its end is not visible here/);
  try {
    expect(await shown()).toEqual(['Not known yet: no cycle has got a token.']);
    await cycle();
    const whole = [
      'GroupMember.Read.All Granted Reads groups and their members.',
      'User.Read.All Granted Reads users.',
      secret,
    ];
    expect(await shown()).toEqual(whole);

    simulator.options.roles = ['User.Read.All', 'ProfilePhoto.Read.All'];
    expect(await failureOf(cycle())).toMatchObject({ code: 'permission_missing' });
    expect(await shown()).toEqual([
      expect.stringMatching(
        /^GroupMember.Read.All Missing .* cannot be read.* has to ask for GroupMember.Read.All or /,
      ),
      expect.stringMatching(/^ProfilePhoto.Read.All More than needed .* can be taken away/),
      'User.Read.All Granted Reads users.',
      secret,
    ]);
    const told = await runCli(['tenant', 'show', tenant.name], { ...simulator.environment(), DATABASE_URL: url });
    expect(told.stdout).toMatch(/^permissions of its token: ProfilePhoto.Read.All, User.Read.All$/m);
    expect(told.stdout).toMatch(/^GroupMember.Read.All \(missing\): .* consent again\.$/m);

    simulator.options.roles = ['User.Read.All', 'GroupMember.Read.All', 'Mail.Send'];
    expect(await failureOf(cycle())).toMatchObject({ code: 'role_refused' });
    expect(await shown()).toContainEqual(expect.stringMatching(/^Mail.Send Refused .* no token with it is used/));

    simulator.options.roles = ['User.Read.All', 'GroupMember.Read.All'];
    const environment = { ...simulator.certificateEnvironment(), DATABASE_URL: url };
    expect((await runCli(['sync'], environment)).code).toBe(0);
    const certified = [
      ...whole.slice(0, 2),
      expect.stringMatching(/^Credential. The certificate ends on \d{4}-\d\d-\d\d, in \d+ /),
    ];
    expect(await shown()).toEqual(certified);
    const json = await runCli(['tenant', 'show', tenant.name, '--json'], environment);
    expect(JSON.parse(json.stdout)).toMatchObject({
      permissions: ['GroupMember.Read.All', 'User.Read.All'],
      credential_kind: 'certificate',
      credential_ends_at: expect.stringMatching(/^\d{4}-/),
    });
    const admin = await web.browser({
      ...{ tenantId: tenant.tenantId, objectId: randomUUID(), directoryRole: 'admin' },
      actor: `entra:${tenant.tenantId}/x`,
    });
    // The credential is the vendor's.
    expect(sectionOf((await admin.get(page)).text)).toEqual(whole.slice(0, 2));

    simulator.consents.revoke(tenant.tenantId);
    simulator.revokeTokens();
    await failureOf(cycle());
    const { text } = await operator.get(page);
    expect([sectionOf(text), text.includes('The last cycle got none.')]).toEqual([certified, true]);
    simulator.consents.grant(tenant.tenantId);
    simulator.consents.revoke(tenant.tenantId, 'permissions');
    expect(await failureOf(cycle())).toMatchObject({ code: 'consent_missing' });
    expect(await shown()).toEqual([
      expect.stringMatching(/^User.Read.All Missing/),
      expect.stringMatching(/^GroupMember.Read.All Missing/),
      secret,
    ]);
    const kept = await rows<{ row: string }>(database, 'select to_jsonb(t)::text as row from entra_sync.tenants t');
    for (const part of ['eyJ', simulator.options.clientSecret]) expect(kept[0]?.row).not.toContain(part);
  } finally {
    await web.close();
  }
});
