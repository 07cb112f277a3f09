import { randomUUID } from "node:crypto";

/**
 * A new idempotency key: a UUID of version 7 (RFC 9562). It begins with the time, so that the keys
 * of a wallet stay together in the database's indexes, and no two are ever the same.
 */
export function createKey(): string {
  const time = Date.now().toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
}
