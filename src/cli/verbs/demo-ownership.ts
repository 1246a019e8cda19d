// The demo's second half: ownership of fields, and a customer that leaves and comes back.
import type { CycleResult } from '../../engine/cycle.ts';
import type { SettingsDocument } from '../../settings/settings.ts';
import type { Tenant } from '../../simulator/index.ts';
import { editAccount, explainAccount, revertAccount } from '../../store/accounts/accounts.ts';
import type { Database } from '../../store/database/pool.ts';
import { changeSettings } from '../../store/preview/settings.ts';
import { table } from '../layout.ts';

export type OwnershipStory = {
  say(line?: string): void;
  readonly database: Database;
  readonly defaults: SettingsDocument;
  readonly tenant: Tenant;
  readonly person: { readonly entraObjectId: string; readonly accountId: string; readonly name: string };
  /** Runs a real command and returns its answer. */
  command(words: readonly string[]): Promise<unknown>;
};

/** Runs the story with real edits, cycles, a disconnect and a reconnect; returns the cycles. */
export async function tellOwnership(story: OwnershipStory): Promise<CycleResult[]> {
  const { say, database, defaults, tenant, person } = story;
  const by = { actor: person.name, role: 'user' };
  const cycles: CycleResult[] = [];
  const sync = async () => cycles.push(...((await story.command(['sync'])) as { cycles: CycleResult[] }).cycles);

  say("\n4. The mobile phone becomes the user's (settings: sourceOfTruth hybrid), and the person edits it:");
  const owned: SettingsDocument = {
    sourceOfTruth: 'hybrid',
    fields: { mobilePhone: { owner: 'user' } },
  };
  await changeSettings(database, defaults, { tenantId: null, document: owned, actor: 'demo' }, { dryRun: false });
  await editAccount(database, person.accountId, { mobilePhone: '+49 170 5550199' }, by);
  const refused = await editAccount(database, person.accountId, { jobTitle: 'King' }, by).catch(String);
  say(`   - ${person.name} sets the mobile phone to +49 170 5550199`);
  say(`   - a new title is refused by the database: ${String(refused).replace(/^\w+: /, '')}`);
  tenant.updateUser(person.entraObjectId, { jobTitle: 'Chief Executive', mobilePhone: '+1 206 555 0100' });
  say('   - Entra ID changes both: the title to Chief Executive, the phone to +1 206 555 0100');
  await sync();
  await show(story, "The title follows, the phone stays, and the directory's value is kept under it:");
  await revertAccount(database, person.accountId, ['mobilePhone'], by);
  await show(story, "Reverted, the directory's value shows again, without a call to Graph:");

  say(`\n5. ${tenant.name} disconnects: its accounts stay, as manual ones that people may edit:`);
  await story.command(['tenant', 'disconnect', tenant.name]);
  await editAccount(database, person.accountId, { jobTitle: 'Founder' }, by);
  await show(story, 'The person edits the title, which is now allowed:');
  say(`   ${tenant.name} comes back. The same accounts and groups are adopted by their object ids:`);
  cycles.push((await story.command(['tenant', 'reconnect', tenant.name])) as CycleResult);
  await show(story, "The title is the directory's again; what the person wrote is on the shelf, not lost:");
  return cycles;
}

async function show({ say, database, person }: OwnershipStory, why: string): Promise<void> {
  const explained = await explainAccount(database, person.accountId);
  const text = (value: unknown) => (typeof value === 'string' ? value : '');
  const lines = ['jobTitle', 'mobilePhone'].flatMap((name) =>
    explained
      .filter((one) => one.field === name)
      .map((one) => [name, text(one.value), one.origin, text(one.directory_value), text(one.user_value)]),
  );
  const titles = ['field', 'value', 'from', "the directory's", "the person's"].map((title) => ({ title }));
  say(`   ${why}`);
  say(table(titles, lines, { indent: 5 }));
}
