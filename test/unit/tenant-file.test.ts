// The lists of `tenant add --file`: forms that are read, and problems with their lines.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseTenantFile, readTenantFile } from '../../src/cli/tenant-file.ts';
import { ExpectedError } from '../../src/errors.ts';
import { temporaryDirectory } from '../support/cli.ts';

const [one, two] = ['2f9b1c54-7a8e-4f7e-9a55-0d3f5f1c8e21', '3f9b1c54-7a8e-4f7e-9a55-0d3f5f1c8e22'];

test.each([
  ['a.csv', `tenant,name,ref\n${one},Contoso,0017\n\n# a remark\n${two},"Ann, ""Bob"" & Co",\n`, [2, 5]],
  ['a.csv', `\uFEFFName;Tenant;Ref\r\nContoso;${one.toUpperCase()};0017\r\n"Ann, ""Bob"" & Co";${two};\r\n`, [2, 3]],
  ['a.txt', `ref\ttenant\tname\n0017\t${one}\tContoso\n\t${two}\tAnn, "Bob" & Co`, [2, 3]],
  ['-', `tenant,name,ref\n${one},Contoso,0017\n${two}, "Ann, ""Bob"" & Co" ,`, [2, 3]],
  ['a.yaml', `- tenant: ${one}\n  name: Contoso\n  ref: 0017\n- { tenant: ${two}, name: 'Ann, "Bob" & Co' }\n`, [1, 4]],
  [
    '-',
    `# ours\n- { tenant: ${one}, name: Contoso, ref: 0017 }\n- { tenant: ${two}, name: 'Ann, "Bob" & Co', ref: }\n`,
    [2, 3],
  ],
])('%s: %j', (path, text, lines) => {
  expect(parseTenantFile(text, path)).toEqual([
    { line: lines[0], tenantId: one, name: 'Contoso', ref: '0017' },
    { line: lines[1], tenantId: two, name: 'Ann, "Bob" & Co', ref: null },
  ]);
});

test('a value over two lines counts both', () => {
  const problems = problemsOf(`tenant,name\n"${one}","a\nb"\nx,Contoso\n`, 'a.csv');
  expect(problems).toEqual([
    'line 2: the name must have 1 to 200 printable characters',
    'line 4: "x" is no tenant id (a GUID)',
  ]);
});

function problemsOf(text: string, path: string): readonly string[] {
  try {
    parseTenantFile(text, path);
  } catch (error) {
    if (error instanceof ExpectedError && error.code === 'usage') return error.list;
    throw error;
  }
  return expect.unreachable('the list was taken');
}

test.each([
  ['a.csv', '', ['there is no line with the names of the columns']],
  ['a.csv', 'tenant,name\n', ['no tenant is listed']],
  [
    'a.csv',
    `tenant,name,refs\n${one},Contoso,1\n`,
    ['line 1: there is no column "refs" (there are tenant, name, ref)'],
  ],
  ['a.csv', `${one},Contoso\n`, expect.arrayContaining(['line 1: the column tenant is missing'])],
  ['a.csv', `tenant,name,name\n`, ['line 1: the column name is there twice']],
  [
    'a.csv',
    `tenant,name\n${one}\n${two},a,b\n`,
    ['line 2 has 1 value, and there are 2 columns', 'line 3 has 3 values, and there are 2 columns'],
  ],
  ['a.csv', `tenant,name\n${one},"Contoso\n`, ['line 2: a quote is not closed']],
  [
    'a.csv',
    `tenant,name\n${one},Contoso\n${two},CONTOSO\n${one.toUpperCase()},Fabrikam\n`,
    ['line 3: the name "CONTOSO" is on line 2 too', `line 4: tenant ${one} is on line 2 too`],
  ],
  [
    'a.csv',
    `tenant,name,ref\n${one},,a\u0007\n`,
    [
      'line 2: the name must have 1 to 200 printable characters',
      'line 2: the ref must have at most 200 printable characters',
    ],
  ],
  ['a.yaml', '- {', ['line 1: this is not YAML']],
  ['a.yaml', `tenant: ${one}\n`, ['the file is not a list: each tenant begins with a dash']],
  [
    'a.yaml',
    `- tenant: ${one}\n  nmae: Contoso\n- x\n- name: [a]\n`,
    [
      'line 2: there is no key "nmae" (there are tenant, name, ref)',
      'line 3: a tenant has the keys tenant, name, ref',
      'line 4: name is not text',
    ],
  ],
])('%s refused: %j', (path, text, problems) => {
  expect(problemsOf(text, path)).toEqual(problems);
});

test('a file that is missing, a folder, or no text is refused with a cure', async ({ onTestFinished }) => {
  const folder = await temporaryDirectory(onTestFinished);
  const latin = join(folder, 'latin.csv');
  await writeFile(latin, Buffer.from('tenant,name\nx,K\xe4ppeli', 'latin1'));
  const none = (async function* () {})();
  for (const path of [join(folder, 'nowhere.csv'), folder, latin])
    await expect(readTenantFile(path, none)).rejects.toMatchObject({
      code: 'usage',
      cure: expect.stringMatching(/CSV or YAML/),
    });
  await expect(readTenantFile(join(folder, 'nowhere.csv'), none)).rejects.toThrow('nowhere.csv does not exist');
  const endless = (async function* () {
    for (;;) yield Buffer.alloc(1024 * 1024);
  })();
  await expect(readTenantFile('-', endless)).rejects.toThrow('stdin is too large');
});
