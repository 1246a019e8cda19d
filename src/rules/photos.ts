// Photos of accounts: sizes, limits, and how what Graph answered for one of them is judged.

/** The sizes that Graph documents (learn.microsoft.com/graph/api/profilephoto-get). */
export const photoSizes = [
  '48x48',
  '64x64',
  '96x96',
  '120x120',
  '240x240',
  '360x360',
  '432x432',
  '504x504',
  '648x648',
] as const;

export type PhotoSize = (typeof photoSizes)[number];

/** The settings of photos in force. */
export type Photos = { readonly read: boolean; readonly size: PhotoSize; readonly refreshMs: number };

/** The most bytes of one photo. */
export const maxPhotoBytes = 2 * 1024 * 1024;

/** The most pixels of a side: a viewer unfolds all of them, however few bytes they take. */
export const maxPhotoSide = 4096;

/**
 * Photos of a tenant that are asked for in a second. Each costs Graph one unit, and the smallest tenants have 350 a second
 * (learn.microsoft.com/graph/throttling-limits), so most of it is left to cycles.
 */
export const photosPerSecond = 100;

/** A photo as read. */
export type Photo = {
  readonly content: Uint8Array;
  readonly contentType: 'image/jpeg' | 'image/png';
  readonly sha256: string;
  readonly width: number;
  readonly height: number;
};

/** The answer for one account. `refused`: Graph said that the application may not read it. */
export type PhotoAnswer =
  | { readonly photo: Photo }
  | { readonly none: true }
  | { readonly fault: string; readonly refused: boolean };

/** With so many refusals in a row, the permission is missing. */
const manyRefused = 5;

/** The fault of a refused photo. */
export const refusedFault = 'Graph refused it (403)';

/**
 * Whether a `$batch` shows that the application may read no photo of the tenant: all were refused, and they are many or
 * none was ever answered. Else each refusal concerns its account, since Exchange limits applications by mailbox.
 * `refusedBefore`: the refusals since the last other answer.
 */
export function lacksPermission(
  answers: readonly PhotoAnswer[],
  everAnswered: boolean,
  refusedBefore: number,
): boolean {
  const areRefused = answers.length > 0 && answers.every((one) => 'fault' in one && one.refused);
  return areRefused && (!everAnswered || answers.length + refusedBefore >= manyRefused);
}

/** The cure where the application has no permission to read photos. */
export const photosCure =
  'add the application permission User.Read.All or ProfilePhoto.Read.All and grant admin consent again, or set photos.read to false';
