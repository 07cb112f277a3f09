import { printable } from "./shown.ts";

/**
 * Somebody's name as a field of CSV: a spreadsheet runs what begins like a formula. What cannot be
 * printed is escaped, as a file ends up on a terminal; the exact names are in the JSON.
 */
export function csvText(name: string): string {
  return /^[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]/.test(name)
    ? `'${printable(name)}`
    : printable(name);
}
