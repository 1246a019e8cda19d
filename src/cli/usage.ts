// Errors of the command line as expected errors, with the help as the cure.
import { type Command, type CommanderError, Help } from 'commander';
import { ExpectedError } from '../errors.ts';

/** Makes commander throw instead of ending the process: `usage`, or its own error after --help or --version. */
export function throwUsage(command: Command): void {
  command.exitOverride((error) => {
    throw error.exitCode === 0 ? error : usageError(command, error);
  });
  command.configureOutput({
    // The caller shows the error.
    outputError: () => {},
    writeOut: (text) => process.stdout.write(text),
    writeErr: (text) => process.stderr.write(text),
  });
  for (const one of command.commands) throwUsage(one);
}

/** Lets the help of a command and of those below it fit a terminal: it breaks narrow columns too, and lists verbs without `[options]`. */
export function fitHelp(command: Command): void {
  command.configureHelp({
    minWidthToWrap: 20,
    subcommandTerm: (one) => new Help().subcommandTerm(one).replace(' [options]', ''),
  });
  for (const one of command.commands) fitHelp(one);
}

function usageError(command: Command, error: CommanderError): ExpectedError {
  const help = `${pathOf(command)} --help shows how it is used`;
  if (error.code === 'commander.help') {
    const name = command.parent ? command.name() : 'entra-sync';
    return new ExpectedError('usage', `${name} does nothing without a verb`, {
      cure: `name one of those above: ${help}`,
    });
  }
  if (error.code === 'commander.unknownCommand' && /'version'/.test(error.message))
    return new ExpectedError('usage', 'version is not a verb', { cure: 'entra-sync --version' });
  const elsewhere = error.code === 'commander.unknownCommand' ? elsewhereIn(command, error.message) : undefined;
  if (elsewhere) return elsewhere;
  // Options of psql look like options of this program.
  const psql = command.name() === 'psql' && error.code === 'commander.unknownOption';
  return new ExpectedError('usage', wording(error.message), {
    cure: psql ? `put options of psql after --, as in entra-sync psql -- -c "select 1"; ${help}` : help,
  });
}

// `disconnect` is a verb of `tenant`, and nothing like `connect`: a verb that is there is named, and none that looks like it.
function elsewhereIn(command: Command, message: string): ExpectedError | undefined {
  const word = /'([^']*)'/.exec(message)?.[1];
  const paths = command.commands
    .flatMap((group) => group.commands)
    .filter((one) => one.name() === word)
    .map(pathOf);
  if (paths.length === 0) return undefined;
  return new ExpectedError('usage', `${word} is not a verb by itself`, {
    cure: paths.map((path) => `${path} --help`).join(', or '),
  });
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}

const opposites: Readonly<Record<string, string>> = { unpause: 'resume', disapprove: 'reject', unapprove: 'reject' };

/** Leaves out verbs that say the opposite of what was written: `pause` for `unpause`, `disconnect` for `connect`. */
function nearTo(word: string, names: readonly string[]): readonly string[] {
  const opposite = opposites[word];
  if (opposite !== undefined) return [opposite];
  const isReversed = (one: string, other: string) => /^(un|dis|de|re)$/.test(one.slice(0, one.length - other.length));
  return names.filter(
    (name) => !(word.endsWith(name) && isReversed(word, name)) && !(name.endsWith(word) && isReversed(name, word)),
  );
}

function wording(message: string): string {
  return message
    .replace(/^error: /, '')
    .replace(/^(.*?'([^']*)')\s*\(Did you mean (one of )?(.*)\?\)$/s, (_, what, word, __, names: string) => {
      const near = nearTo(word, names.split(', '));
      return near.length > 0 ? `${what}, did you mean ${near.join(' or ')}?` : what;
    })
    .replace(
      /(too many arguments).*\. Expected (\d+) arguments? but got (\d+)\.$/s,
      '$1: at most $2, but $3 were given',
    )
    .replace(/ is invalid\. /, ' is not valid: ')
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ');
}
