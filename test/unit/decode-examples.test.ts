// Decodes every documented and observed users page as the index of the examples describes it.
import { describe, expect, test } from 'vitest';
import { type DeltaPage, decodePage } from '../../src/rules/decode.ts';
import { allProperties, exampleBody, graphExamples } from './graph-examples.ts';

type Expected = {
  file: string;
  says: string;
  ends: 'next' | 'delta';
  live?: Record<string, Record<string, unknown>>;
  removed?: Record<string, 'deleted' | 'deleted_restorable'>;
  problems?: string[];
};

const users: Expected[] = [
  {
    file: 'users-01-first-round-page1-with-hard-delete-tombstone.json',
    says: 'a tombstone comes in the first round, and what was never set is absent',
    ends: 'next',
    live: {
      'ffff7b1a-13b6-477b-8c0c-380905cd99f7': { displayName: 'Cameron White', givenName: 'Cameron', surname: 'White' },
      '605d1257-ffff-40b6-8e6f-528a53f5dc55': { displayName: 'Delia Dennis', givenName: 'Delia', surname: 'Dennis' },
      '6ea91a8d-e32e-41a1-b7bd-d2d185eed0e0': { displayName: 'Conf Room Adams' },
    },
    removed: { '86462606-fde0-4fc4-9e0c-a20eb73e54c6': 'deleted' },
  },
  {
    file: 'users-02-first-round-page2-nextLink.json',
    says: 'the context without its select list changes nothing',
    ends: 'next',
    live: {
      'd8c37826-ffff-4cae-b348-e2725b1e814b': {
        displayName: 'Mallory Cortez',
        givenName: 'Mallory',
        surname: 'Cortez',
      },
      '8b1ee412-cd8f-4d59-ffff-24010edb9f1f': {
        displayName: 'Diego Sicilian',
        givenName: 'Diego',
        surname: 'Sicilian',
      },
    },
  },
  {
    file: 'users-03-first-round-final-page-deltaLink.json',
    says: 'the delta link ends the round',
    ends: 'delta',
    live: {
      '25dcffff-959e-4ece-9973-e5d9b800e8cc': {
        displayName: 'Lidia Holloway',
        givenName: 'Lidia',
        surname: 'Holloway',
      },
      'f6ede700-27d0-4c42-bfb9-4dffff43c74a': {
        displayName: 'Patti Fernandez',
        givenName: 'Patti',
        surname: 'Fernandez',
      },
    },
  },
  {
    file: 'users-04-later-round-no-changes.json',
    says: 'a round without changes brings a new delta link',
    ends: 'delta',
  },
  {
    file: 'users-05-later-round-changed-user-and-soft-delete.json',
    says: 'the reason "changed" is a removal that can be undone',
    ends: 'delta',
    live: {
      '25dcffff-959e-4ece-9973-e5d9b800e8cc': {
        displayName: 'MOD Administrator',
        givenName: 'MOD',
        surname: 'Administrator',
      },
    },
    removed: { '8ffff70c-1c63-4860-b963-e34ec660931d': 'deleted_restorable' },
  },
  {
    file: 'users-06-default-properties-no-select.json',
    says: 'the default properties are taken by their types',
    ends: 'next',
    live: {
      '87d349ed-44d7-43e1-9a83-5f2406dee5bd': {
        businessPhones: ['+1 425 555 0109'],
        displayName: 'Adele Vance',
        givenName: 'Adele',
        jobTitle: 'Retail Manager',
        mail: 'AdeleV@contoso.onmicrosoft.com',
        mobilePhone: '+1 425 555 0109',
        officeLocation: '18/2111',
        preferredLanguage: 'en-US',
        surname: 'Vance',
        userPrincipalName: 'AdeleV@contoso.onmicrosoft.com',
      },
    },
  },
  // The documentation shortened the next four. A real answer always has an id; one without is unreadable.
  {
    file: 'users-07-select-three-default-response.json',
    says: 'an object without id is a problem',
    ends: 'next',
    problems: ['it has no id'],
  },
  {
    file: 'users-08-return-minimal-only-changed.json',
    says: 'an object without id is a problem',
    ends: 'next',
    problems: ['it has no id'],
  },
  {
    file: 'users-09-return-minimal-cleared-property-null.json',
    says: 'an object without id is a problem',
    ends: 'next',
    problems: ['it has no id'],
  },
  {
    file: 'users-10-default-response-cleared-property-null.json',
    says: 'an object without id is a problem',
    ends: 'next',
    problems: ['it has no id'],
  },
  {
    file: 'users-11-manager-delta.json',
    says: 'manager@delta is no property of the user',
    ends: 'delta',
    live: {
      '0baaae0f-b0b3-4645-867d-742d8fb669a2': {
        businessPhones: ['+1 309 555 0104'],
        displayName: 'Grady Archie',
        givenName: 'Grady',
        jobTitle: 'Designer',
        mail: 'GradyA@contoso.onmicrosoft.com',
        officeLocation: '19/2109',
        preferredLanguage: 'en-US',
        surname: 'Archie',
        userPrincipalName: 'GradyA@contoso.onmicrosoft.com',
      },
    },
  },
  {
    file: 'users-12-first-round-2021-doc-form.json',
    says: 'the form of 2021 reads the same',
    ends: 'next',
    live: {
      'ffff7b1a-13b6-477b-8c0c-380905cd99f7': { displayName: 'Testuser1', givenName: 'John', surname: 'Doe' },
      '605d1257-ffff-40b6-8e6f-528a53f5dc55': { displayName: 'Testuser2', givenName: 'Jane', surname: 'Doe' },
    },
  },
  {
    file: 'constructed-empty-page-with-nextLink.json',
    says: 'rule 5: an empty page with a next link goes on',
    ends: 'next',
  },
];

function decodeExample(file: string): { page: DeltaPage; body: Record<string, unknown> } {
  const body = exampleBody(file) as Record<string, unknown>;
  const page = decodePage(body, allProperties);
  if ('malformed' in page) throw new Error(page.malformed);
  return { page, body };
}

describe('the documented users pages', () => {
  test.each(users)('$file: $says', ({ file, ends, live = {}, removed = {}, problems = [] }) => {
    const { page, body } = decodeExample(file);
    expect(page.link).toEqual({ [ends]: body[`@odata.${ends}Link`] });
    const found = page.occurrences.map((one) => [one.id, 'patch' in one ? one.patch : one.removed]);
    expect(Object.fromEntries(found)).toEqual({ ...live, ...removed });
    expect(found).toHaveLength(Object.keys({ ...live, ...removed }).length);
    expect(page.problems.map((problem) => problem.reason)).toEqual(problems);
  });

  test('rule 4: an object that comes three times on a page is three occurrences, in the order of the page', () => {
    const { page } = decodeExample('constructed-same-user-live-then-removed-in-one-round.json');
    const id = 'aaaaaaaa-0000-4000-8000-0000000000aa';
    expect(page.occurrences).toEqual([
      { id, patch: { displayName: 'Dup User' } },
      { id, patch: { displayName: 'Dup User (renamed)' } },
      { id, removed: 'deleted_restorable' },
    ]);
  });

  test('rule 3: null stays null, and absent stays absent', () => {
    const id = 'aaaaaaaa-0000-4000-8000-0000000000aa';
    const minimal = exampleBody('users-09-return-minimal-cleared-property-null.json') as { value: object[] };
    const page = decodePage({ ...minimal, value: minimal.value.map((user) => ({ id, ...user })) }, allProperties);
    expect(page).toMatchObject({ occurrences: [{ id, patch: { displayName: 'displayName-value', jobTitle: null } }] });
    expect(page).not.toHaveProperty(['occurrences', 0, 'patch', 'mobilePhone']);
  });

  test('every example is tested', () => {
    const files = graphExamples.map((one) => one.file).filter((file) => file.startsWith('users-'));
    expect(files.length).toBeGreaterThanOrEqual(12);
    expect(files.filter((file) => !users.some((one) => one.file === file))).toEqual([]);
  });

  test.each(graphExamples.filter((one) => /^(error|constructed-410)/.test(one.file)))(
    '$file is not a page, whatever its status',
    ({ file }) => {
      expect(decodePage(exampleBody(file), allProperties)).toHaveProperty('malformed');
    },
  );
});
