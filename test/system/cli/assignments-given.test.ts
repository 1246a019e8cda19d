// `assignments assign`, `preview`, `change` and `explain`: what they say of a rule that is given.
import { beforeAll, describe, expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { expectOneLine, runCli } from '../../support/cli.ts';
import { setSettings } from '../../support/settings.ts';
import { openWorld, type World } from '../../support/system.ts';

let world: World;

const cli = (...words: string[]) => runCli(words, { DATABASE_URL: world.url, COLUMNS: '200' });
const acting = (...words: string[]) => cli(...words, '--actor', 'Eve');
const given = ['Contoso', 'banner', 'xmas'];
const give = (...words: string[]) => acting('assignments', 'assign', ...given, ...words);
const preview = (...words: string[]) => cli('assignments', 'preview', ...given, ...words);
const parsed = ({ stdout }: { stdout: string }) => JSON.parse(stdout);
const madeOf = ({ stdout }: { stdout: string }) => /made: ([0-9a-f-]{36})/.exec(stdout)?.[1] ?? '';
const stored = () => rows<object>(world.database, 'select * from directory.assignments order by assignment_id');

beforeAll(async () => {
  world = await openWorld({ users: 0, groups: 0, name: 'Contoso', onEnd: (() => {}) as never });
  const { tenant } = world;
  await setSettings(world.database, { firstLoad: 'delta', sourceOfTruth: 'hybrid' });
  for (let n = 1; n <= 21; n += 1)
    tenant.createUser({
      displayName: `Zoe ${n}`,
      userPrincipalName: `zoe${n}@contoso.example`,
      country: n <= 12 ? 'Deutschland' : n === 13 ? 'SCHWEIZ' : 'Schweiz',
      businessPhones: n <= 3 ? ['+1 555', `+1 ${n}`] : [],
    });
  tenant.createUser({ displayName: 'Ann Berg', userPrincipalName: 'ann@contoso.example', country: 'Österreich' });
  tenant.createGroup({ displayName: 'Nothing yet', securityEnabled: true });
  await world.cycle();
  for (const words of [
    ['slots', 'put', 'banner', '--all-tenants', '--winners', '1'],
    ['items', 'put', 'banner', 'xmas', '--all-tenants'],
    ['edit', 'ann@contoso.example', 'pronouns=she/her'],
  ])
    expect(await acting(...words), words.join(' ')).toMatchObject({ code: 0 });
});

describe('a rule that reaches no account', () => {
  test('says so with the most frequent values of its field, and is made', async () => {
    const target = ['--field', 'country', '--in', 'DE', 'AT'];
    const values = 'Deutschland (12), Schweiz (9), Österreich (1)';
    const would = `No account would get anything else.\nIt would reach no account: none has one of these values of country. The most frequent there: ${values}\n`;
    expect((await preview(...target)).stdout).toBe(would);
    expect((await give(...target, '--dry-run')).stdout).toBe(would);
    expect(parsed(await preview(...target, '--json'))).toMatchObject({
      reaches: 0,
      frequent_values: [{ value: 'Deutschland', accounts: 12 }, { accounts: 9 }, { value: 'Österreich', accounts: 1 }],
    });
    const made = await give(...target);
    expect(made.stdout.split('\n').slice(1).join('\n')).toBe(
      `No account gets anything else.\nIt reaches no account now: none has one of these values of country. The most frequent there: ${values}\n`,
    );
    expect(await stored()).toMatchObject([{ assignment_id: madeOf(made), state: 'active' }]);
    await acting('assignments', 'unassign', madeOf(made));
  });

  test('no value of a private field is told, and five of a public one', async () => {
    const hidden = ['--field', 'pronouns', '--in', 'they/them'];
    expect((await preview(...hidden)).stdout).toMatch(
      /It would reach no account: none has this value of pronouns, whose values are private\n$/,
    );
    const told = parsed(await give(...hidden, '--dry-run', '--json'));
    expect(told).toMatchObject({ reaches: 0 });
    expect(JSON.stringify(told)).not.toContain('she/her');
    expect(parsed(await preview('--field', 'displayName', '--in', 'Bo', '--json')).frequent_values).toHaveLength(5);
    expect(parsed(await preview('--field', 'businessPhones', '--in', '+1', '--json')).frequent_values).toContainEqual({
      value: '+1 555',
      accounts: 3,
    });
    expect((await preview('--field', 'linkedIn', '--in', 'x')).stdout).toMatch(
      /no account: none has a value of linkedIn\n$/,
    );
  });

  test('a group without members is told, and a rule that reaches some says nothing', async () => {
    expect((await give('--group', 'Nothing yet', '--dry-run')).stdout).toMatch(
      /It would reach no account: the group Nothing yet has no members\n$/,
    );
    expect(parsed(await give('--group', 'Nothing yet', '--dry-run', '--json'))).toMatchObject({ reaches: 0 });
    const some = ['--field', 'country', '--in', 'schweiz'];
    expect((await preview(...some)).stdout).not.toContain('no account');
    expect(parsed(await preview(...some, '--json'))).toMatchObject({ reaches: 9 });
  });
});

describe('times', () => {
  test('the dry run of a rule that starts later is as of its start, as its preview', async () => {
    const later = ['--account', 'ann@contoso.example', '--starts', '2100-01-01'];
    const says =
      /^The items of 1 account would change as of its start, 2100-01-01T00:00Z:\n[\s\S]*Ann Berg .*nothing +-> +xmas\n$/;
    const dry = await give(...later, '--dry-run');
    expect(dry.stdout).toMatch(says);
    expect((await preview(...later)).stdout).toBe(dry.stdout);
    const { changed, as_of } = parsed(await give(...later, '--dry-run', '--json'));
    expect({ changed, as_of }).toMatchObject({
      changed: [{ display_name: 'Ann Berg' }],
      as_of: '2100-01-01T00:00:00.000Z',
    });
    expect(await stored()).toEqual([]);
    expect((await give('--field', 'country', '--in', 'DE', '--starts', '2100-01-01', '--dry-run')).stdout).toMatch(
      /^No account would get anything else as of its start, 2100-01-01T00:00Z\.\nIt would reach no account: /,
    );
    expectOneLine(await give(...later, '--ends', '2099-01-01', '--dry-run'), 2, /ends_at is not after starts_at/);
    const made = await give(...later);
    expect(made.stdout).toMatch(
      /\nNo account gets anything else before the start, 2100-01-01T00:00Z, when the items of 1 account would change\.\n$/,
    );
    await acting('assignments', 'unassign', madeOf(made));
    const idle = await give('--field', 'country', '--in', 'DE', '--starts', '2100-01-01');
    expect(idle.stdout).toMatch(
      /\nNo account gets anything else, not at the start, 2100-01-01T00:00Z, either\.\nIt reaches/,
    );
    await acting('assignments', 'unassign', madeOf(idle));
    expect((await give('--everyone', '--ends', '2020-01-01', '--dry-run')).stdout).toBe(
      'No account would get anything else: the end, 2020-01-01T00:00Z, has passed.\n',
    );
  });

  test('a change that says two things of one time is refused, and changes nothing', async () => {
    const id = madeOf(await give('--account', 'ann@contoso.example', '--starts', '2100-01-01'));
    const before = await stored();
    const change = (...words: string[]) => acting('assignments', 'change', id, ...words);
    expectOneLine(
      await change('--no-start', '--starts', '1d'),
      2,
      /--starts and --no-start exclude each other -> give one of them$/,
    );
    expectOneLine(
      await change('--ends', '1d', '--priority', '2', '--no-end'),
      2,
      /--ends and --no-end exclude each other -> give one of them$/,
    );
    expect(await stored()).toEqual(before);
    expect((await change('--no-start', '--ends', '1d')).code).toBe(0);
    await acting('assignments', 'unassign', id);
  });
});

describe('the same twice', () => {
  test('is made, and a note names the first one and the way to take it back', async () => {
    const target = ['--field', 'country', '--in', 'Schweiz', 'Deutschland', '--priority', '3'];
    const first = await give(...target);
    expect(first.stderr).not.toContain('assigned already');
    const id = madeOf(first);
    const note = `\nThe same is assigned already: ${id} -> entra-sync assignments unassign ${id} takes it back\n`;
    expect(`\n${(await give(...target, '--dry-run')).stderr}`).toContain(note);
    const second = await give('--field', 'country', '--in', 'deutschland', 'SCHWEIZ', '--priority', '3');
    expect(`\n${second.stderr}`).toContain(note);
    expect(second.code).toBe(0);
    expect(madeOf(second)).not.toBe('');
    for (const other of [
      ['--priority', '4'],
      ['--except', '--priority', '3'],
      ['--priority', '3', '--ends', '2100-01-01'],
    ])
      expect((await preview(...target.slice(0, 5), ...other)).stderr).not.toContain('assigned already');
    const twice = await give(...target, '--json');
    expect(parsed(twice)).toMatchObject({ same: [id, madeOf(second)] });
    expect(twice.stderr).toMatch(/already: \S{36}, \S{36} -> entra-sync assignments unassign \S{36} takes one back\n/);
    await acting('assignments', 'unassign', id, madeOf(second), ...parsed(twice).assignment_ids);
    const ann = ['--account', 'ann@contoso.example'];
    const one = madeOf(await give(...ann));
    expect(parsed(await give(...ann, 'zoe1@contoso.example', '--dry-run', '--json'))).toMatchObject({ same: [one] });
    await acting('assignments', 'unassign', one);
  });
});

describe('names and ids', () => {
  test('of more accounts than are listed the rest is counted', async () => {
    const { code, stdout, stderr } = await give('--account', 'zoe');
    expect(code).toBe(2);
    expect(stderr).toMatch(/21 accounts match zoe -> /);
    expect(stdout.match(/^account +Zoe /gm)).toHaveLength(20);
    expect(stdout).toMatch(/\n… and 1 more\n$/);
  });

  test('explain names each assignment by its whole id, on a narrow terminal too', async () => {
    const id = madeOf(await give('--account', 'ann@contoso.example'));
    const { stdout } = await cli('assignments', 'explain', 'ann', 'banner');
    expect(stdout).toMatch(
      new RegExp(`item +to +priority +outcome +why +assignment\nxmas +Ann Berg +.* +wins .* of 1 +${id}\n$`),
    );
    for (const COLUMNS of ['80', '40'])
      expect(
        (await runCli(['assignments', 'explain', 'ann', 'banner'], { DATABASE_URL: world.url, COLUMNS })).stdout,
      ).toContain(id);
    await acting('assignments', 'unassign', id);
  });
});
