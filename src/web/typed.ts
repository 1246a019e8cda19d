// The values of a form that comes back: a page reads them here, since a field may have been sent more than once.
import type { SentForm } from './page.ts';

function fieldOf(form: SentForm | undefined, name: string): string | readonly string[] | undefined {
  return form && Object.hasOwn(form.typed, name) ? form.typed[name] : undefined;
}

/** Returns the text of a field as it was typed; undefined if the form has no such field, or several of its name. */
export function typedText(form: SentForm | undefined, name: string): string | undefined {
  const value = fieldOf(form, name);
  return typeof value === 'string' ? value : undefined;
}

/** Returns every value that was sent under a name, such as those of the ticked boxes; none for no form. */
export function typedList(form: SentForm | undefined, name: string): readonly string[] {
  const value = fieldOf(form, name);
  return value === undefined ? [] : typeof value === 'string' ? [value] : value;
}
