// `register`: the commands that make the application registration.
import { type Command, InvalidArgumentError } from 'commander';
import { readPublicUrl } from '../../environment.ts';
import { ExpectedError } from '../../errors.ts';
import { propertiesOf, registrationScript, registrationsOf } from '../../rules/registration.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';

type RegisterOptions = VerbOptions & { print?: boolean; two?: boolean; name: string; publicUrl?: string };

const usualPort = 8081;

export function registerCommand(): Command {
  return verb(
    'register',
    'Print the commands of the Azure CLI that register the application in Entra ID: permissions, redirect addresses, roles in its tokens, ' +
      'the roles of your own people, property lock, a secret. They may run again: they set what differs. Changes nothing by itself.',
    [
      'register --print --public-url https://sync.example.com > register.sh',
      'register --print --two --public-url https://sync.example.com > register.sh',
    ],
  )
    .option('--print', 'print them')
    .option('--two', 'a second registration, which people sign in to and which reads no directory')
    .option(
      '--name <name>',
      'the name of the registration, as people see it when they sign in',
      parseName,
      'entra-sync',
    )
    .option(
      '--public-url <url>',
      'where browsers reach the web (ENTRA_SYNC_PUBLIC_URL), with a path where a proxy gives one; default: http://localhost and the port of web',
    )
    .action((options: RegisterOptions) => runVerb(options, (run) => register(run, options)));
}

// It stands in a filter of Graph and in a comparison of the shell.
function parseName(text: string): string {
  if (/^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,99}$/u.test(text)) return text;
  throw new InvalidArgumentError('letters, digits, blanks, dots, hyphens and underscores are needed, at most 100');
}

async function register({ terminal, environment }: Run, options: RegisterOptions): Promise<undefined> {
  if (!options.print) {
    throw new ExpectedError('usage', 'register runs no command itself: it has no right to change Entra ID', {
      cure: 'entra-sync register --print > register.sh, then read it and run it after az login',
    });
  }
  const { name, two = false } = options;
  const url = readPublicUrl(environment.variables, options.publicUrl, usualPort);
  const script = registrationScript(name, two, url);
  const registrations = registrationsOf(name, two);
  terminal.answer({
    registrations: registrations.map((one) => ({ name: one.name, properties: propertiesOf(one, url) })),
    script,
  });
  terminal.print(script.trimEnd());
}
