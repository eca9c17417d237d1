const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const ONE = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
// Event times are a wall clock that is stored as if it were UTC.
const HOUR = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", day: "numeric", month: "short" });
const DATE = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", weekday: "short", day: "numeric", month: "long", year: "numeric" });

export const whole = (value: number): string => WHOLE.format(value).replace("-", "−");
export const oneDigit = (value: number): string => ONE.format(value).replace("-", "−");
export const compact = (value: number): string => (Math.abs(value) < 10_000 ? WHOLE.format(value) : COMPACT.format(value));
export const percent = (share: number): string => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

/** "14:00", "2 Jan" and "Tue, 2 January 2001" of an event time in Unix milliseconds. */
export const clock = (time: number): string => HOUR.format(time);
export const day = (time: number): string => DAY.format(time);
export const date = (time: number): string => DATE.format(time);
export const dayClock = (time: number): string => `${day(time)}, ${clock(time)}`;

/** "1 flight", "2 flights". */
export const plural = (count: number, noun: string): string => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;

const BYTES = ["bytes", "KB", "MB", "GB", "TB"];

/** "512 bytes", "1.5 MB": decimal units, as storage is billed. */
export function bytes(count: number): string {
  const power = count < 1000 ? 0 : Math.min(BYTES.length - 1, Math.floor(Math.log10(count) / 3));
  return power === 0 ? plural(count, "byte") : `${oneDigit(count / 1000 ** power)} ${BYTES[power]}`;
}

/** "$0.0042": as many digits as a small sum needs. */
export function dollars(amount: number): string {
  if (amount === 0) return "$0";
  const digits = amount >= 1 ? 2 : Math.min(8, 1 - Math.floor(Math.log10(amount)));
  return `$${amount.toFixed(digits)}`;
}

/** "1,204", "0.4": what is counted a second, by as many digits as mean something. */
export const shortRate = (perSecond: number): string => (perSecond > 0 && perSecond < 10 ? oneDigit(perSecond) : whole(perSecond));

/** "1,204 a second", "0.4 a second". */
export const perSecond = (value: number): string => `${shortRate(value)} a second`;

const MOMENT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });

/** "23 Nov 2026, 16:49" in the browser's own zone: moments of the platform, not of the data. */
export const moment = (time: number): string => MOMENT.format(time);

const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

/** "16:49" in the browser's own zone. */
export const timeOfDay = (time: number): string => TIME.format(time);
