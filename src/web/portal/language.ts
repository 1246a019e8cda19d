// The languages of the portal: a file of texts each, beside those of sign-in and refusals.
import { join } from 'node:path';
import { type Language, readLanguages, type Texts } from '../language.ts';
import type { View } from '../page.ts';
import type { language as english } from './languages/en.ts';

export type PortalLanguage = Language & Texts<Pick<typeof english, 'name' | 'texts'>>;
export type PortalTexts = PortalLanguage['texts'];

/** The languages of the portal, English first. */
export const portalLanguages: readonly PortalLanguage[] = await readLanguages<PortalLanguage>(
  join(import.meta.dirname, 'languages'),
);

/** Returns the texts of a page, in its language. */
export function textsOf({ language: { tag } }: View<unknown>): PortalTexts {
  const [first] = portalLanguages;
  const found = portalLanguages.find((one) => one.tag === tag) ?? first;
  if (!found) throw new Error('the portal has no language');
  return found.texts;
}

/** Returns the words of a text that the settings give by language; in another language where there is none of the page. */
export function wordsOf(
  words: Readonly<Record<string, string>> | null,
  { language }: View<unknown>,
): string | undefined {
  return words?.[language.tag] ?? Object.values(words ?? {})[0];
}

/** Returns a text with its `{names}` filled in. */
export const fill = (text: string, values: Readonly<Record<string, string>>) =>
  text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => (Object.hasOwn(values, name) ? (values[name] ?? '') : whole));
