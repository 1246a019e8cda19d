// The two rules of prose that a script can check (CONTRIBUTING.md, "Prose").

const headless = /^(?:what|who|whoever|whose|of|whom|one of)\b/i;
const pronouns = /\b(?:whoever|whom|nobody|somebody|anybody)\b/i;

/** Whether a text opens with What, Who, Whose, Of … instead of its subject. A question may. */
export function isHeadless(text: string): boolean {
  const opening = words(text).replace(/^(?:rules? [\d, and]+:)\s*/i, '');
  return headless.test(opening) && !/^[^.:;!]*\?/.test(opening);
}

/** Whether a text uses one of the `pronouns` instead of naming the thing. */
export function usesPronoun(text: string): boolean {
  return pronouns.test(words(text));
}

// Code and examples stand in backticks and are not prose.
const words = (text: string) => text.replace(/`[^`]*`/g, '``').trim();
