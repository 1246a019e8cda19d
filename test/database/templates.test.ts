// Which templates the database takes (rule 45). A product may put values into these by plain replacement.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rows } from '../../src/store/database/pool.ts';
import { renderHtml } from '../../src/words/template.ts';
import { rowsOf, runsOf } from '../support/deep.ts';
import { drawn } from '../support/histories.ts';
import { openStore, type Store } from '../support/stage.ts';
import { elementsOf, refused, taken, value } from '../support/templates.ts';

const pieces = ['{{', '{{x}}', '<style>', '<a b="', '<!--a', '<![if', '<p>', '< ', '<a b="<a b=\''];

let store: Store;

beforeAll(async () => {
  store = await openStore();
});

afterAll(() => store.close());

async function problemsOf(templates: readonly string[]): Promise<(readonly [string, string] | null)[]> {
  const found = await rows<{ problem: [string, string] | null }>(
    store.database,
    'select entra_sync.template_problem(h.html) as problem from unnest(cast(:templates as text[])) with ordinality h (html, n) order by n',
    { templates },
  );
  return found.map(({ problem }) => problem);
}

describe('rule 45: a field stands where an escaped value is text', () => {
  test('these are taken', async () => {
    expect(await problemsOf(taken)).toEqual(taken.map(() => null));
  });

  test('these are refused, with the place', async () => {
    const problems = await problemsOf(refused.map(([html]) => html));
    refused.forEach(([html, message, hint], n) => {
      expect(problems[n], html).toEqual([message, typeof hint === 'string' ? hint : expect.stringMatching(hint)]);
    });
  });

  test('an attribute takes a field here if it shows a value there', async () => {
    const names =
      'title alt aria-label data-x lang dir id class name width height align valign color bgcolor border face size datetime abbr summary'
        .split(' ')
        .concat(
          'href src srcset srcdoc style onclick on action formaction background data poster ping content http-equiv type rel target xlink:href'.split(
            ' ',
          ),
        );
    const templates = names.map((name) => `<a ${name}="{{x}}">y</a>`);
    const problems = await problemsOf(templates);
    names.forEach((name, n) => {
      const shown = renderHtml(templates[n] ?? '', { x: 'https://x/' })?.includes('https://x/');
      expect([name, problems[n] === null]).toEqual([name, shown]);
    });
  });

  test('values put into drawn templates that are taken add no element and no attribute', async () => {
    const parts = [
      ...[
        '{{x}}',
        '{{#x}}',
        '{{/x}}',
        '{{#y}}',
        '{{/y}}',
        '<p>',
        '</p>',
        '<b',
        '<a ',
        'title=',
        'href=',
        'style=',
        'x',
        ' ',
      ],
      ...[
        '"',
        "'",
        '>',
        '<',
        '/',
        '=',
        '<!--',
        '-->',
        '--',
        '-',
        '!',
        '<style>',
        '</style>',
        '<title>',
        '</title>',
        '<script>',
      ],
      ...[
        '</script>',
        '<svg>',
        '<textarea>',
        '</textarea>',
        '<select>',
        '<table>',
        '<tr>',
        '<td>',
        '<![CDATA[',
        ']]>',
        '<!doctype ',
        '<?',
        '\n',
        '`',
        '{',
      ],
    ];
    // Where chance alone makes few templates that are taken, whole pieces help it.
    const whole = [
      '<a title="{{x}}">',
      "<p title='{{#x}}{{x}}{{/x}}'>",
      '{{#x}}<b>{{x}}</b>{{/x}}',
      '<!-- a -->',
      '<style>p { }</style>',
      '<td alt="a>{{x}}">',
    ];
    const template = fc
      .array(
        fc.oneof(
          { arbitrary: fc.constantFrom(...parts), weight: 2 },
          { arbitrary: fc.constantFrom(...whole), weight: 3 },
        ),
        { minLength: 1, maxLength: 9 },
      )
      .map((all) => all.join(''));
    const cases = fc.sample(fc.record({ template, x: value }), { ...drawn, numRuns: runsOf(3_000, 100_000) });
    const problems = await problemsOf(cases.map((one) => one.template));
    const safe = cases.filter((one, n) => problems[n] === null && one.template.includes('{{x}}'));
    expect(safe.length).toBeGreaterThan(cases.length / 20);
    for (const { template, x } of safe)
      expect(elementsOf(filled(template, x)), `${template}\n${x}`).toEqual(elementsOf(filled(template, 'x')));
  });

  test('a long template is read in one pass', async () => {
    const time = async (templates: string[]) => {
      const from = performance.now();
      await problemsOf(templates);
      return performance.now() - from;
    };
    const size = runsOf(10_000, 60_000);
    for (const piece of rowsOf(pieces, (one) => one === '{{x}}' || one === '<a b="')) {
      const short = `{{x}}${piece.repeat(size / piece.length)}`;
      const long = `{{x}}${piece.repeat((16 * size) / piece.length)}`;
      // The same number of characters, in sixteen templates and in one.
      const parts = await time(Array(16).fill(short));
      expect(await time([long]), piece).toBeLessThan(parts * 8 + 500);
    }
  });
});

/** The template with escaped values by plain replacement, as a product may do it. */
function filled(template: string, x: string): string {
  const escaped = x
    .trim()
    .toWellFormed()
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
  let text = template;
  for (let before = ''; before !== text; ) {
    before = text;
    text = text.replaceAll(/\{\{#y\}\}(?:(?!\{\{[#/]y\}\})[\s\S])*\{\{\/y\}\}/g, '');
  }
  return text.replaceAll(/\{\{[#/][xy]\}\}/g, '').replaceAll('{{x}}', () => escaped);
}
