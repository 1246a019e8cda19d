// The schema of the pages for people: who has them, the time zone of what they show, and where to ask for help.
import { z } from 'zod';
import { duration } from './durations.ts';

const namesOfThree = new Set('CET EET EST GMT HST MET MST PRC ROC ROK UCT UTC WET'.split(' '));

// Offsets are names for JavaScript too, and follow no summer time. So are abbreviations that mean another zone to Postgres,
// which reads what people type: BST is Bangladesh here and Britain there.
const isTimeZone = (name: string) => {
  if (!/^[A-Za-z]/.test(name) || (name.length === 3 && !namesOfThree.has(name.toUpperCase()))) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
};

/** The time zone of the pages for people and of assignments. */
export const timeZone = z
  .string()
  .max(100)
  .refine(isTimeZone, 'there is no such time zone: write a name of the IANA database, as Europe/Berlin')
  .meta({ description: 'The time zone of the pages for people: a name of the IANA database, such as Europe/Berlin.' });

export const portalSchema = z
  .strictObject({
    people: z.boolean().meta({ description: 'Whether people see and edit their own page.' }),
    managers: z.boolean().meta({ description: 'Whether managers see and edit the people that they manage.' }),
    history: duration('0d', '3650d', 'How long people see what changed on their own page; 0d: not at all.'),
  })
  .meta({ description: 'The pages for people: /me, and /team for managers.' });

/** The most hosts of pictures. */
const maxHosts = 20;

/** Where the pictures of previews may come from, beside those that are in the html itself. */
export const previewImages = z
  .array(
    z
      .string()
      .max(253)
      .regex(
        /^(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$/,
        'is no host that a page may load pictures from: write it without https:// and without a path, as cdn.example.com or *.example.com',
      ),
  )
  .max(maxHosts)
  .meta({
    description: `Hosts from which previews of items load pictures over https, at most ${maxHosts}; *.example.com: every host below it.`,
  });

export const notifySchema = z
  .strictObject({
    customer: z
      .boolean()
      .meta({ description: 'Whether the contacts of a tenant are told of lost consent and held removals.' }),
  })
  .meta({ description: 'Notices to the customer.' });

const isHelpAddress = (text: string) => URL.canParse(text) && /^(https|mailto|tel):/.test(new URL(text).protocol);

export const helpSchema = z
  .strictObject({
    text: z.string().min(1).max(200).meta({ description: 'The words of the link, such as Ask IT.' }),
    url: z
      .string()
      .max(2_000)
      .refine(isHelpAddress, 'is no address that a page may link to: write one with https:, mailto: or tel:')
      .meta({ description: 'Where it leads: an address with https:, mailto: or tel:.' })
      .optional(),
  })
  .meta({ description: 'Where people of a tenant ask about a value that they cannot change.' });
