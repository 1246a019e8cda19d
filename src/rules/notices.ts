// Notices of troubles: one sentence, the cure, and a link to the page. They name tenants, and never people.

import { plural } from './numbers.ts';
import { commandWord } from './shell.ts';

/** `test`: what `notify test` sends. */
export type TroubleKind = 'failing' | 'noticed' | 'removals_held' | 'waiting' | 'credential_expires' | 'test';

/** A notice: told when a trouble begins, each day while it lasts, and when it ends. */
export type Notice = {
  readonly trouble_id: string;
  readonly phase: 'begins' | 'lasts' | 'ended';
  readonly kind: TroubleKind;
  readonly key: string;
  readonly tenant_id: string | null;
  readonly tenant_name: string | null;
  readonly since: string;
  readonly detail: Readonly<Record<string, unknown>>;
  /** It goes to a contact of the tenant, who has no command line. */
  readonly for_customer?: boolean;
};

export type NoticeText = {
  readonly title: string;
  readonly sentence: string;
  /** The command that shows or cures it; none where it has ended. */
  readonly cure: string | undefined;
  /** The page of the console, below its address. */
  readonly path: string | undefined;
};

type Words = Record<'begun' | 'ended', string> & Record<'cure' | 'path', string | undefined>;

/** Returns a notice in words. */
export function noticeText(notice: Notice): NoticeText {
  const { phase, since } = notice;
  const { begun, ended, cure: command, path } = wordsOf(notice);
  const cure = notice.for_customer ? undefined : command;
  if (phase === 'ended') return { title: ended, sentence: `${ended}.`, cure: undefined, path };
  const sentence = phase === 'lasts' ? `${begun}, since ${since.slice(0, 16).replace('T', ' ')} UTC.` : `${begun}.`;
  return { title: begun, sentence, cure, path };
}

function wordsOf(notice: Notice): Words {
  const { kind, key, tenant_id: id, tenant_name: name, detail, for_customer: forCustomer } = notice;
  const tenant = name ?? id ?? 'the installation';
  const quoted = commandWord(tenant);
  const of = id === null ? '' : ` of ${tenant}`;
  const page = id === null ? undefined : `/console/t/${id}`;
  switch (kind) {
    case 'test':
      return { begun: 'This is a test of notices', ended: '', cure: undefined, path: undefined };
    case 'failing':
      if (forCustomer)
        return {
          begun: `The consent of ${tenant} is missing, so changes of its users and groups do not arrive: an administrator has to consent again`,
          ended: `${tenant} is read again`,
          cure: undefined,
          path: page,
        };
      return {
        begun: `The cycles of ${tenant} fail (${String(detail.code ?? 'defect')})`,
        ended: `${tenant} is read again`,
        cure: `entra-sync doctor ${quoted}`,
        path: page,
      };
    case 'noticed':
      return {
        begun: `Very many profiles of ${tenant} changed at once: ${String(detail.notice ?? '')}`.replace(/[.: ]+$/, ''),
        ended: `The change of very many profiles of ${tenant} is acknowledged`,
        cure: `entra-sync tenant acknowledge ${quoted}`,
        path: page,
      };
    case 'removals_held':
      return {
        begun: `${plural(Number(detail.count ?? 0), 'removal')} of ${tenant} ${detail.count === 1 ? 'waits' : 'wait'} for a decision (list ${key})`,
        ended: `The removals of list ${key} of ${tenant} wait no more`,
        cure: `entra-sync removals list ${quoted}`,
        path: page && `${page}/removals`,
      };
    case 'waiting':
      return {
        begun: `Customer ${key} has consented for the tenant ${id}, and waits for approval`,
        ended: `The consent of customer ${key} waits no more`,
        cure: `entra-sync tenant approve ${id} --ref ${commandWord(key)}`,
        path: undefined,
      };
    case 'credential_expires':
      return {
        begun: `The certificate of the application${of} ends within ${key === '1' ? 'a day' : `${key} days`}`,
        ended: `The certificate of the application${of} is a new one`,
        cure: id === null ? 'entra-sync doctor' : `entra-sync doctor ${quoted}`,
        path: undefined,
      };
  }
}

/** The days before the end of a certificate at which it is told. */
export const daysTold = [1, 7, 30] as const;

/** Returns the fewest of {@link daysTold} within which `end` lies; undefined if it is farther away. */
export function daysLeft(end: Date, now: Date): (typeof daysTold)[number] | undefined {
  return daysTold.find((days) => end.getTime() - now.getTime() <= days * 86_400_000);
}
