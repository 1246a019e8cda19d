// Finds the problems of the conditions of the scope. A zod union would report each once per operator.
import { conditionProblem, didYouMean } from '../rules/graph-paths.ts';
import { nearestName } from '../rules/graph-properties.ts';
import { maxConditions, maxScopeUsers, operands, scopeLists } from './scope-schema.ts';

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

type Operator = keyof typeof operands;
const operators = Object.keys(operands) as Operator[];

const must: Readonly<Record<Operator, string>> = {
  in: 'a list of 1 to 1,000 texts, numbers, true or false',
  notIn: 'a list of 1 to 1,000 texts, numbers, true or false',
  matches: 'a glob of 1 to 256 characters, such as *@contoso.com',
  exists: 'true or false',
};

/** Returns every problem of `scope.where`, written as `written`; with none, the schema accepts it. */
export function whereProblems(written: unknown): string[] {
  if (written === undefined) return [];
  if (!Array.isArray(written)) return ['scope.where must be a list of conditions'];
  if (written.length > maxConditions)
    return [`scope.where: there are ${written.length} conditions, and at most ${maxConditions} are possible`];
  return written.flatMap((condition: unknown, index) => problemsOf(condition, `scope.where[${index}]`));
}

function problemsOf(condition: unknown, place: string): string[] {
  if (!isRecord(condition) || typeof condition.property !== 'string')
    return [`${place} must have a property, as in { property: department, in: [IT, Sales] }`];
  const keys = Object.keys(condition).filter((key) => key !== 'property');
  const strange = keys.filter((key) => !operators.includes(key as Operator));
  const used = operators.filter((operator) => keys.includes(operator));
  const [operator] = used;
  const problems = strange.map(
    (key) =>
      `there is no ${JSON.stringify(key)} in ${place}${didYouMean(nearestName(key, operators)) || ` (there are ${operators.join(', ')})`}`,
  );
  if (strange.length === 0 && used.length !== 1)
    problems.push(
      `${place} must have one of ${operators.join(', ')}${used.length > 1 ? `, and has ${used.join(' and ')}: write two conditions` : ''}`,
    );
  const named = conditionProblem(condition.property, operator !== 'exists');
  if (named) problems.push(`${place}: ${named}`);
  for (const one of used) {
    if (!operands[one].safeParse(condition[one]).success) problems.push(`${place}.${one} must be ${must[one]}`);
  }
  return problems;
}

/** Returns a problem for each list of the scope that is too long. */
export function lengthProblems(scope: unknown): string[] {
  if (!isRecord(scope)) return [];
  return scopeLists.flatMap((name) => {
    const list = scope[name];
    return Array.isArray(list) && list.length > maxScopeUsers
      ? [`scope.${name}: there are ${list.length.toLocaleString('en-US')}, and at most 10,000 are possible`]
      : [];
  });
}
