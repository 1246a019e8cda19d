// Contacts of a tenant: the addresses that are taken, and those that are refused.
import { expect, test } from 'vitest';
import { distinctAddresses, maxContacts, problemOfContacts } from '../../src/rules/contacts.ts';

test.each(['it@example.com', 'o.brien+it@mail.example.co', 'jürgen@bücher.example'])('%s is a contact', (address) => {
  expect(problemOfContacts([address])).toBeUndefined();
});

test.each([
  'it',
  'it@example',
  'a@x.example,b@x.example',
  'a@x.example?bcc=b@x.example',
  'a@x.example\r\nBcc: b@x.example',
  'A <a@x.example>',
  'a@b@x.example',
  'a%0ab@x.example',
  `${'a'.repeat(250)}@x.example`,
])('%j is no contact', (address) => {
  expect(problemOfContacts([address])).toMatch(/cannot be a contact/);
});

test('a tenant has ten contacts at most, each once whatever its case', () => {
  const ten = Array.from({ length: maxContacts }, (_, n) => `it${n}@example.com`);
  expect(problemOfContacts(ten)).toBeUndefined();
  expect(problemOfContacts([...ten, 'one@example.com'])).toMatch(/at most 10 contacts, these are 11/);
  expect(distinctAddresses([' IT@example.com ', 'it@example.com', '', 'b@example.com'])).toEqual([
    'IT@example.com',
    'b@example.com',
  ]);
});
