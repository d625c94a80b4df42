// The page is in English; dates follow the reader's variant of English.
const LOCALE = navigator.languages.find((language) => language.startsWith('en')) ?? 'en-GB';

/** The reader's time zone. */
export const READERS_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

const TIME = { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
const SECONDS = { ...TIME, second: '2-digit' };
const formats = new Map();

function format(date, options, zone) {
  const key = JSON.stringify([options, zone]);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(LOCALE, { ...options, timeZone: zone }));
  return formats.get(key).format(date);
}

/** Returns the year if it is not the present one. */
const year = (iso) => (iso.slice(0, 4) === String(new Date().getUTCFullYear()) ? {} : { year: 'numeric' });

/** `Nov 24, 03:12` in the reader's zone. */
export const shortTime = (iso) => format(new Date(iso), { ...TIME, ...year(iso) }, READERS_ZONE);

/** `Nov 24, 03:12:07` in the reader's zone. */
export const exactTime = (iso) => format(new Date(iso), { ...SECONDS, ...year(iso) }, READERS_ZONE);

/** `2026-11-24 01:00:00 UTC`. */
export const utcTime = (iso) => `${new Date(iso).toISOString().slice(0, 19).replace('T', ' ')} UTC`;

/** `Nov 24` of a calendar day such as `2026-11-24`. */
export const shortDay = (day) => format(new Date(`${day}T00:00:00Z`), { month: 'short', day: 'numeric' }, 'UTC');

/**
 * Returns a time on the clocks of two zones.
 * @param {string} iso
 * @param {?string} zone the schedule's zone; UTC if it is null or unknown to the browser
 * @returns {{there: string, zone: string, here: ?string}} `here` is null if both clocks show the same
 */
export function timeOnBothClocks(iso, zone) {
  const known = zone && isZone(zone) ? zone : 'UTC';
  const there = shortIn(iso, known);
  const here = shortIn(iso, READERS_ZONE);
  return { there, zone: known, here: here === there ? null : here };
}

const shortIn = (iso, zone) => format(new Date(iso), { weekday: 'short', ...TIME, ...year(iso) }, zone);

function isZone(zone) {
  try {
    Intl.DateTimeFormat(LOCALE, { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

/** `1,250`. */
export const inFigures = (number) => number.toLocaleString(LOCALE);

/** `1 target`, `2 targets`. */
export const counted = (number, one, many = `${one}s`) => `${inFigures(number)} ${number === 1 ? one : many}`;

/** Returns JSON with line breaks, and any other text as it is. */
export function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text ?? '';
  }
}

/** Host and path of a URL, at most 48 characters. */
export function shortUrl(text) {
  const bare = text.replace(/^https?:\/\//, '').replace(/[?#].*$/, '');
  return bare.length > 48 ? `${bare.slice(0, 30)}…${bare.slice(-17)}` : bare;
}

/** `200 in 31 ms`, as far as known. */
export function answerText({ status, milliseconds }) {
  return [status && `status ${status}`, milliseconds !== null && milliseconds !== undefined && `${milliseconds} ms`]
    .filter(Boolean).join(', ');
}

/** The labels of the event types. */
export const EVENT_LABELS = {
  'Backup.Failure': 'Backup Failure',
  'Backup.PartialSuccess': 'Backup Partial Success',
  'Backup.Missing': 'Missing Backups',
  'Backup.Success': 'Backup Success',
  'Backup.Recovered': 'Backup Recovered',
  'Backup.Unfinished': 'Unfinished Backups',
  'Backup.Stale': 'Stale Backups',
};
