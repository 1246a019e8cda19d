// Random valid expressions of a settings file.
import fc from 'fast-check';
import type { Constant, WrittenExpression } from '../../src/rules/expressions.ts';

const paths = [
  'jobTitle',
  'mail',
  'businessPhones',
  'businessPhones[0]',
  'accountEnabled',
  'employeeOrgData',
  'employeeOrgData.division',
  'onPremisesExtensionAttributes.extensionAttribute3',
  'assignedLicenses[1].skuId',
  'extension_0123456789abcdef0123456789abcdef_shoeSize',
];

const constant: fc.Arbitrary<Constant> = fc.oneof(
  fc.constantFrom('', 'x', 'Contoso'),
  fc.integer(),
  fc.boolean(),
  fc.array(fc.constantFrom('a', 'b'), { maxLength: 2 }),
);

const table = fc.dictionary(fc.constantFrom('Sales', 'HR', '1', 'true', 'constructor'), constant, {
  noNullPrototype: true,
});

export const writtenExpressions: fc.Arbitrary<WrittenExpression> = fc.letrec<{ any: WrittenExpression }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    fc.constantFrom(...paths),
    fc.record({ first: fc.array(tie('any'), { minLength: 1, maxLength: 3 }) }),
    fc.record(
      { join: fc.array(tie('any'), { minLength: 1, maxLength: 3 }), with: fc.constantFrom('', ' ', ', ') },
      { requiredKeys: ['join'], noNullPrototype: true },
    ),
    fc.record({ constant }),
    fc.record(
      { map: tie('any'), values: table, otherwise: constant },
      { requiredKeys: ['map', 'values'], noNullPrototype: true },
    ),
    fc.record({ lower: tie('any') }),
    fc.record({ trim: tie('any') }),
  ) as fc.Arbitrary<WrittenExpression>,
})).any;
