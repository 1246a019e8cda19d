// Makes believable groups of the four kinds that Graph shows.
import { fold, moment, uniqueNickname } from './people.ts';
import type { Truth } from './truth.ts';

export type GroupKind = 'security' | 'microsoft365' | 'distribution' | 'mailEnabledSecurity';

const topics = [
  'Mark 8 Project',
  'Vertrieb Süd',
  'Équipe Paris',
  'Bâtiment C',
  'Fahrgemeinschaft',
  'Onboarding',
  'Budget 2027',
  'Data & Analytics',
  "Editors' Circle",
  'Betriebsrat',
  'Sommerfest',
  'Release Train',
  'Café Küche',
  'Łódź Office',
  '営業部',
  'Works Council',
  'Incident Response',
  'Sustainability',
  'Brand Design',
  'Field Service',
  'Alumni',
  'Key Accounts',
  'Health & Safety',
  'Réseau Ventes',
  'Product Board',
  'Pricing',
  'Archive',
  'Hiring Panel',
];
const suffixes = ['', ' Team', ' (all)', ' Leads', ' – extern', ' Readers', ' Owners', ' EMEA', ' APAC', ' Americas'];

/** The properties of a group that has not been in the tenant before. */
export function makeGroup(truth: Truth, kind: GroupKind, name?: string): Record<string, unknown> {
  const { random, domain } = truth;
  const displayName = name ?? `${random.pick(topics)}${random.pick(suffixes)}`;
  const nickname = uniqueNickname(truth, fold(displayName) || 'group');
  const mailEnabled = kind !== 'security';
  const group: Record<string, unknown> = {
    createdDateTime: moment(random.below(3_500_000)),
    displayName,
    groupTypes: kind === 'microsoft365' ? ['Unified'] : [],
    mailEnabled,
    mailNickname: nickname,
    securityEnabled: kind === 'security' || kind === 'mailEnabledSecurity',
  };
  if (mailEnabled) {
    group.mail = `${nickname}@${domain}`;
    group.proxyAddresses = [`SMTP:${nickname}@${domain}`];
  }
  if (kind === 'microsoft365') {
    group.visibility = random.pick(['Public', 'Private']);
  }
  if (random.chance(0.7)) {
    group.description = `${displayName}: ${random.pick(['shared files', 'mailing list', 'access to the intranet', 'licences'])}`;
  }
  return group;
}

/** Makes the membership of a group dynamic: computed by a rule, not kept by hand. */
export function makeDynamic(group: Record<string, unknown>, rule: string): Record<string, unknown> {
  const types = Array.isArray(group.groupTypes) ? group.groupTypes : [];
  return {
    ...group,
    groupTypes: [...types, 'DynamicMembership'],
    membershipRule: rule,
    membershipRuleProcessingState: 'On',
  };
}
