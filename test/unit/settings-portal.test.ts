// The settings of the portal: what they take, and each mistake on a line of its own.
import { expect, test } from 'vitest';
import { ExpectedError } from '../../src/errors.ts';
import { leftOutOf } from '../../src/rules/copied-groups.ts';
import { roleSettings } from '../../src/settings/schema.ts';
import {
  checkInstallationSettings,
  checkSettings,
  loadDefaults,
  resolveSettings,
} from '../../src/settings/settings.ts';

const defaults = loadDefaults();

function problemsOf(document: object, check: typeof checkSettings = checkSettings): readonly string[] {
  try {
    check(document, 'FILE', [defaults]);
    return [];
  } catch (error) {
    if (!(error instanceof ExpectedError) || error.code !== 'settings_invalid') throw error;
    return error.list;
  }
}

const help = (url: string) => ({ help: { text: 'Ask IT', url } });
const noZone = 'there is no such time zone: write a name of the IANA database, as Europe/Berlin';
const noHost =
  'is no host that a page may load pictures from: write it without https:// and without a path, as cdn.example.com or *.example.com';
const noAddress = 'is no address that a page may link to: write one with https:, mailto: or tel:';

test.each<[object, string[]]>([
  [{ portal: { managers: true } }, []],
  [{ portal: { history: '0d' } }, []],
  [{ timeZone: 'Europe/Berlin' }, []],
  [{ timeZone: 'Etc/GMT+2' }, []],
  [{ timeZone: 'CET' }, []],
  [{ help: null }, []],
  [{ help: { text: 'Ask IT' } }, []],
  [help('mailto:it@contoso.example'), []],
  [{ previewImages: [] }, []],
  [{ previewImages: ['cdn.contoso.example', '*.pictures.contoso.example'] }, []],
  ...[
    'https://cdn.example.com',
    'cdn.example.com/logos',
    '*',
    '*.com',
    'localhost',
    "x.example 'unsafe-inline'",
    'a.example;',
    '127.0.0.1',
    'Cdn.Example.com',
  ].map((host): [object, string[]] => [{ previewImages: ['a.example', host] }, [`previewImages[1] ${noHost}`]]),
  [{ timeZone: 'Europe/Berlni' }, [`timeZone: ${noZone}`]],
  [{ timeZone: '+02:00' }, [`timeZone: ${noZone}`]],
  [{ timeZone: 'BST' }, [`timeZone: ${noZone}`]],
  [{ timeZone: '' }, [`timeZone: ${noZone}`]],
  [{ portal: { people: 'yes' } }, ['portal.people must be true or false']],
  [
    { portal: { history: '90' } },
    ['portal.history: "90" is not a duration: write a whole number and s, m, h or d, like 40m'],
  ],
  [{ portal: { manager: true } }, ['there is no setting "manager" in portal, did you mean managers?']],
  [help('http://help.example'), [`help.url: ${noAddress}`]],
  [help('javascript:alert(1)'), [`help.url: ${noAddress}`]],
  [help('help'), [`help.url: ${noAddress}`]],
  [{ help: { link: 'x', text: 'x' } }, ['there is no setting "link" in help (there are text, url)']],
])('%j', (document, problems) => {
  expect(problemsOf(document)).toEqual(problems);
});

test('help is a setting of one tenant, the others are of the installation too', () => {
  const installation: typeof checkSettings = (document, path, below = []) =>
    checkInstallationSettings(document, path, below);
  expect(problemsOf({ help: { text: 'x' } }, installation)).toEqual([
    'help is a setting for a single tenant: entra-sync tenant set TENANT FILE',
  ]);
  expect(problemsOf({ timeZone: 'Asia/Tokyo', portal: { people: false } }, installation)).toEqual([]);
});

test.each(roleSettings)('a group that gives the role %s is copied, whatever groups.only says', (setting) => {
  const id = '7e0a3b52-0e0f-4c53-8a65-5f2f1c1f2a11';
  const only = { groups: { only: ['Sales*'] } };
  const { groups } = resolveSettings([defaults, { ...only, [setting]: { groups: [id.toUpperCase()] } }], 1);
  expect(leftOutOf(groups, id, 'Signature Editors')).toBeNull();
  expect(leftOutOf(resolveSettings([defaults, only], 1).groups, id, 'Signature Editors')).not.toBeNull();
});
