// The demo's last part: a banner for a group, and a hire who gets it by joining.
import type { CycleResult } from '../../engine/cycle.ts';
import type { SettingsDocument } from '../../settings/settings.ts';
import {
  assign,
  assigning,
  explainAssignment,
  putItem,
  putSlot,
  type Target,
} from '../../store/accounts/assignments.ts';
import { findGroups } from '../../store/accounts/history.ts';
import { managersOf } from '../../store/accounts/managers.ts';
import { changeSettings } from '../../store/preview/settings.ts';
import { readAccount } from '../../store/tenants/status.ts';
import { plural } from '../format.ts';
import { table } from '../layout.ts';
import type { OwnershipStory } from './demo-ownership.ts';

export type BannerStory = OwnershipStory & {
  /** The object ids of the group that gets the banner, and of a member who does not. */
  readonly group: string;
  readonly excepted: string;
};

const slot = 'banner';
const item = 'spring';

/** Runs the story with a real slot, item, assignments, settings and cycle; returns the cycles. */
export async function tellBanner(story: BannerStory): Promise<CycleResult[]> {
  const { say, database, defaults, tenant, person } = story;
  const { tenantId } = tenant;
  const [group] = await findGroups(database, tenantId, story.group);
  const excepted = await readAccount(database, tenantId, story.excepted);
  if (!group || !excepted) throw new Error('the group or the account of the demo is missing');
  const groupName = group.display_name ?? '';
  const other = { accountId: excepted.account_id, name: excepted.display_name ?? '' };

  say(`\n6. Who gets what: the banner ${item} goes to the group ${groupName}, but not to ${other.name}:`);
  const { moved } = await assigning(database, false, async (on) => {
    const give = (target: Target, except: boolean) =>
      assign(on, { tenantId, slot, item, target, options: { except } }, 'demo');
    await putSlot(on, { tenant_id: tenantId, slot, winners: 1, title: 'Banner' }, 'demo');
    const html =
      '<p>Hello {{givenName}}, spring is here.{{#mobilePhone}} Call me: {{mobilePhone}}.{{/mobilePhone}}{{#website}} <a href="{{website}}">{{website}}</a>{{/website}}</p>';
    await putItem(on, { tenant_id: tenantId, slot, item, title: 'Spring banner', html }, 'demo');
    await give({ account: other.accountId }, true);
    await give({ group: group.group_id }, false);
  });
  say(
    `   It is there for ${plural(moved.length, 'account')} as soon as it is assigned, without a cycle. The database says why:`,
  );
  await explain(story, [person, other]);

  const managed: SettingsDocument = {
    managers: true,
    portal: { managers: true },
    fields: {
      managerName: { from: { manager: 'displayName' }, label: { en: 'Manager', de: 'Führungskraft' }, order: 95 },
    },
  };
  await changeSettings(database, defaults, { tenantId: null, document: managed, actor: 'demo' }, { dryRun: false });
  const hired = tenant.createUser({ userType: 'Member', accountEnabled: true });
  tenant.setManager(hired, person.entraObjectId);
  tenant.addMember(story.group, hired);
  const hire = String(tenant.findUser(hired)?.properties.displayName);
  say('   Managers are read from now on (settings: managers true, a field managerName from { manager: displayName }),');
  say('   and each has a page for the own people (settings: portal.managers true).');
  say(`   In Entra ID ${hire} is hired, joins ${groupName}, and ${person.name} is the manager:`);
  const { cycles } = (await story.command(['sync'])) as { cycles: CycleResult[] };
  const account = await readAccount(database, tenantId, hired);
  if (!account) throw new Error('the account of the hire is missing');
  say("   The same cycle gave the hire the banner of the group, and the profile the manager's name:");
  await explain(story, [{ accountId: account.account_id, name: hire }]);
  const why = { line: 'the manager in Entra ID', group: 'a group of managedBy' };
  say(
    table(
      ['account', 'managerName', 'is managed by', 'why'].map((title) => ({ title })),
      (await managersOf(database, account.account_id)).map(({ display_name: name, via }) => [
        ...[hire, String(account.profile.managerName), name ?? '', why[via]],
      ]),
      { indent: 5 },
    ),
  );
  return cycles;
}

async function explain(
  { say, database }: BannerStory,
  accounts: readonly { readonly accountId: string; readonly name: string }[],
): Promise<void> {
  const lines: string[][] = [];
  for (const { accountId, name } of accounts) {
    for (const one of await explainAssignment(database, accountId, slot))
      lines.push([name, one.item, one.target, one.outcome, one.why]);
  }
  const titles = ['account', slot, 'by', 'outcome', 'why'].map((title) => ({ title }));
  say(table(titles, lines, { indent: 5 }));
}
