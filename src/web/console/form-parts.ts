// Parts of forms that console pages share: a line with its problem, and the buttons of a form whose outcome is shown first.
import { z } from 'zod';
import { type Html, html, nothing } from '../html.ts';
import type { SentForm, View } from '../page.ts';
import { typedText } from '../typed.ts';

/** `look`: show what it would do. `apply`: do what was shown; `seen` tells what that was. */
export const pressed = {
  act: z.enum(['look', 'apply']).default('look'),
  seen: z.string().max(200).optional(),
};

/** Returns one line of a form: label, input and what stands beneath, which is the problem of a refused field. */
export function fieldLine(
  form: SentForm | undefined,
  { id, label, under = nothing }: { readonly id: string; readonly label: string; readonly under?: Html },
  input: (attributes: Html) => Html,
): Html {
  const problem = form?.problems.find((one) => one.field === id)?.message;
  const says = problem === undefined ? under : html`${problem}`;
  const described = says === nothing ? nothing : html` aria-describedby="under-${id}"`;
  const wrong = problem === undefined ? nothing : html` aria-invalid="true"`;
  return html`<div class="field${problem === undefined ? '' : ' wrong'}"><label for="${id}">${label}</label>
${input(html`${described}${wrong}`)}${says === nothing ? nothing : html`<p class="${problem === undefined ? 'under' : 'problem'}" id="under-${id}">${says}</p>`}</div>`;
}

/** Returns the form that came back, if it is the one of this name on a page with several. */
export function formNamed(view: View<unknown>, name: string): SentForm | undefined {
  return typedText(view.form, 'form') === name ? view.form : undefined;
}

/**
 * Returns the button that shows what a form would do, then what came back: Enter in a field presses the one that does nothing.
 * `of`: the id of the heading that tells it from the same button of another form of the page.
 */
export function lookButtons(form: SentForm | undefined, words = 'Show who changes', of?: string): Html {
  const about = of === undefined ? nothing : html` aria-describedby="${of}"`;
  return html`<div class="acts"><button name="act" value="look"${about}>${form?.shown ? `${words} now` : words}</button></div>${form?.shown ?? nothing}`;
}
