// Makes believable people: names of many languages with the address, phone and job that go with them.
import { cultures, departments } from './names.ts';
import { type Place, places } from './places.ts';
import type { Random } from './random.ts';
import type { Properties, Truth } from './truth.ts';

const noDecomposition: Readonly<Record<string, string>> = {
  ß: 'ss',
  ø: 'o',
  ł: 'l',
  đ: 'd',
  æ: 'ae',
  œ: 'oe',
  þ: 'th',
  ð: 'd',
  ı: 'i',
  ŋ: 'n',
};
const folded = new Map<string, string>();

/** A name as it appears in a mail address: ASCII letters and digits in lower case, other characters gone. */
export function fold(name: string): string {
  let result = folded.get(name);
  if (result === undefined) {
    result = name
      .toLowerCase()
      .normalize('NFD')
      .replace(/[ßøłđæœþðıŋ]/g, (letter) => noDecomposition[letter] ?? '')
      .replace(/[^a-z0-9]/g, '');
    folded.set(name, result);
  }
  return result;
}

/** Fills each `#` of a pattern with a digit. */
function digits(random: Random, pattern: string): string {
  return pattern.replace(/#/g, () => String(random.below(10)));
}

/** A nickname that nobody in the tenant ever had. */
export function uniqueNickname(truth: Truth, wanted: string): string {
  const base = wanted === '' ? 'user' : wanted;
  let number = truth.nicknames.get(base) ?? 1;
  let nickname = number === 1 ? base : `${base}${number}`;
  while (number > 1 && truth.nicknames.has(nickname)) {
    number += 1;
    nickname = `${base}${number}`;
  }
  truth.nicknames.set(base, number + 1);
  truth.nicknames.set(nickname, Math.max(2, truth.nicknames.get(nickname) ?? 2));
  return nickname;
}

/** A moment as Graph writes it, so many minutes after the tenant's birth; no real clock is involved. */
export function moment(minutes: number): string {
  return new Date(Date.UTC(2019, 0, 7, 8, 0) + minutes * 60_000).toISOString().replace('.000Z', 'Z');
}

function spread(entry: string): { native: string; latin: string } {
  const [native = entry, latin = native] = entry.split('|');
  return { native, latin };
}

function extensionAttributes(random: Random, place: Place): Properties {
  const attributes: Record<string, unknown> = {};
  for (let number = 1; number <= 15; number += 1) {
    attributes[`extensionAttribute${number}`] = null;
  }
  attributes.extensionAttribute1 = `${place.office}-${1000 + random.below(9000)}`;
  if (random.chance(0.5)) {
    attributes.extensionAttribute2 = random.pick(['she/her', 'he/him', 'they/them', 'elle', 'sie/ihr']);
  }
  if (random.chance(0.2)) {
    attributes.extensionAttribute15 = `https://meet.example/${random.below(100_000)}`;
  }
  return attributes;
}

/** The properties of a person who has not been in the tenant before; about one in thirty is a guest. */
export function makePerson(truth: Truth): Record<string, unknown> {
  const { random, domain } = truth;
  const place = random.pick(places);
  // One in eight works in a country whose names he does not share.
  const culture = cultures[random.chance(0.125) ? random.pick(Object.keys(cultures)) : place.culture];
  if (culture === undefined) {
    throw new Error(`No names for ${place.city}.`);
  }
  const given = spread(random.pick(culture.given));
  const surname = spread(random.pick(culture.surnames));
  const isGuest = random.chance(1 / 30);
  const department = random.pick(Object.keys(departments));
  const nickname = uniqueNickname(truth, `${fold(given.latin)}.${fold(surname.latin)}`);
  const home = isGuest ? random.pick(['partner.example', 'agency.example', 'kunde.example']) : domain;
  const mail = `${nickname}@${home}`;

  const person: Record<string, unknown> = {
    accountEnabled: !random.chance(0.04),
    businessPhones: [],
    createdDateTime: moment(random.below(3_500_000)),
    displayName: culture.familyFirst
      ? `${surname.native}${given.native}`
      : random.chance(0.06)
        ? `${surname.native}, ${given.native}`
        : `${given.native} ${surname.native}`,
    givenName: given.native,
    surname: surname.native,
    mail,
    mailNickname: nickname,
    preferredLanguage: culture.language,
    proxyAddresses: [`SMTP:${mail}`],
    userPrincipalName: isGuest ? `${nickname}_${home}#EXT#@${domain}` : mail,
    userType: isGuest ? 'Guest' : 'Member',
  };
  if (isGuest) {
    person.creationType = 'Invitation';
    person.externalUserState = random.chance(0.8) ? 'Accepted' : 'PendingAcceptance';
    person.companyName = random.pick(['Partner & Söhne GmbH', "L'Agence", 'Kunde AG']);
    return person;
  }
  Object.assign(person, {
    city: place.city,
    companyName: truth.name,
    country: place.country,
    department,
    employeeId: String(100_000 + truth.users.order.length),
    jobTitle: random.pick(departments[department] ?? ['Employee']),
    officeLocation: `${place.office} ${1 + random.below(9)}.${String(random.below(60)).padStart(2, '0')}`,
    postalCode: digits(random, place.postal),
    streetAddress: `${random.pick(place.streets)} ${1 + random.below(180)}`,
    usageLocation: place.code,
  });
  if (place.state !== undefined) {
    person.state = place.state;
  }
  const landline = digits(random, place.landline);
  if (random.chance(0.85)) {
    person.businessPhones = random.chance(0.1) ? [landline, digits(random, place.landline)] : [landline];
  }
  if (random.chance(0.6)) {
    person.mobilePhone = digits(random, place.mobile);
  }
  if (random.chance(0.2)) {
    person.faxNumber = digits(random, place.landline);
  }
  if (random.chance(0.25)) {
    person.onPremisesExtensionAttributes = extensionAttributes(random, place);
  }
  if (random.chance(0.15)) {
    person.otherMails = [`${nickname}@private.example`];
  }
  if (random.chance(0.03)) {
    delete person.jobTitle;
    delete person.department;
  }
  return person;
}
