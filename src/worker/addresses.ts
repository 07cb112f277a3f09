import type { LookupAddress } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import ipaddr from "ipaddr.js";

/** An address that is not public, to which nothing is sent unless the webhook allows it. */
export class PrivateAddressError extends Error {
  override readonly name = "PrivateAddressError";

  constructor(host: string, address: string) {
    super(
      host === address
        ? `${address} is no public address`
        : `${host} is at ${address}, which is no public address`,
    );
  }
}

// All that is assigned to public hosts so far; what lies outside of it may mean anything.
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR("2000::/3");

/** Whether an address belongs to the public internet, also where IPv6 wraps an address of IPv4. */
export function isPublic(address: string): boolean {
  const parsed = ipaddr.process(address);
  if (parsed.range() !== "unicast") return false;
  return parsed instanceof ipaddr.IPv4 || parsed.match(GLOBAL_UNICAST);
}

/** @throws PrivateAddressError if the host of a URL is an address, which nobody looks up. */
export function requirePublicHost({ hostname }: URL): void {
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  if (isIP(host) !== 0 && !isPublic(host)) throw new PrivateAddressError(host, host);
}

/**
 * A look-up of which no result may be private. A connection is made to what it returns, so that a
 * name cannot mean one address when it is checked, and another one then.
 */
export function publicOnly(lookup: LookupFunction): LookupFunction {
  return (host, options, callback) => {
    lookup(host, { ...options, all: true }, (error, found) => {
      const addresses = found as LookupAddress[];
      const refused = error ?? findPrivate(host, addresses);
      const [first] = addresses ?? [];
      if (refused || !first) callback(refused ?? new Error(`${host} has no address`), []);
      else if (options.all) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

function findPrivate(host: string, addresses: readonly LookupAddress[]) {
  const found = addresses.find(({ address }) => !isPublic(address));
  return found && new PrivateAddressError(host, found.address);
}
