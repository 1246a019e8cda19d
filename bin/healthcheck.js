#!/usr/bin/env node
// The health check of the image, without curl: asks the first process of the container, by /livez, whether it lives. Verbs
// that end by themselves serve nothing: while they run they are healthy. Arguments stand in for those of that process.
import { readFileSync } from 'node:fs';

const given = process.argv.slice(2);
const args = given.length > 0 ? given : readFileSync('/proc/1/cmdline', 'utf8').split('\0');
const ports = {
  worker: ['--metrics-port', process.env.PORT || '9464'],
  connect: ['--port', '8080'],
  web: ['--port', '8081'],
};
const verb = Object.keys(ports).find((name) => args.includes(name));

if (verb !== undefined) {
  const [option, usual] = ports[verb];
  const text = args.find((arg) => arg.startsWith(`${option}=`))?.slice(option.length + 1);
  const port = text ?? (args.includes(option) ? args[args.indexOf(option) + 1] : usual);
  const answer = await fetch(`http://127.0.0.1:${port}/livez`, { signal: AbortSignal.timeout(5_000) }).catch(
    (error) => ({ ok: false, status: error.cause?.code ?? error.name }),
  );
  if (!answer.ok) {
    console.error(`/livez on port ${port}: ${answer.status}`);
    process.exitCode = 1;
  }
}
