// Words of commands that people copy into a shell. A name may come from a customer, and must run nothing there.

/** Returns a text as one word of a POSIX shell that means nothing but itself. */
export const shellWord = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** Returns a name as one word of a command: in double quotes where no shell reads more into them. */
export function commandWord(name: string): string {
  const shown = JSON.stringify(name);
  return shown === `"${name}"` && !/[$`!]/.test(name) ? shown : shellWord(name.replaceAll(/\p{Cc}/gu, ' '));
}
