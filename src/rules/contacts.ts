// Contacts of a tenant: mail addresses of the customer.

/** The most contacts of one tenant. */
export const maxContacts = 10;

/** Returns why a text is no address of mail; undefined: it is one. */
export function problemOfAddress(text: string): string | undefined {
  if (text.length > 254) return 'it has more than 254 characters';
  // One address, without headers such as ?bcc=, and nothing that could begin another header line.
  return /^[^\s\p{Cc}<>@?,;%"'`]+@[^\s\p{Cc}<>@?,;%"'`]+\.[^\s\p{Cc}<>@?,;%"'`]+$/u.test(text)
    ? undefined
    : 'it is not one address of mail, as it@example.com';
}

/** Returns addresses without spaces around them and without repetitions, case ignored. */
export function distinctAddresses(texts: readonly string[]): string[] {
  const found = new Map<string, string>();
  for (const text of texts.map((one) => one.trim()))
    if (text !== '' && !found.has(text.toLowerCase())) found.set(text.toLowerCase(), text);
  return [...found.values()];
}

/** Returns why these cannot be the contacts of a tenant; undefined: they can. */
export function problemOfContacts(addresses: readonly string[]): string | undefined {
  if (addresses.length > maxContacts)
    return `a tenant has at most ${maxContacts} contacts, these are ${addresses.length}`;
  for (const address of addresses) {
    const problem = problemOfAddress(address);
    if (problem !== undefined) return `${JSON.stringify(address.slice(0, 80))} cannot be a contact: ${problem}`;
  }
  return undefined;
}
