import type { LookupAddress } from "node:dns";
import type { LookupFunction } from "node:net";
import { describe, expect, test } from "vitest";
import { isPublic, publicOnly, requirePublicHost } from "../../src/worker/addresses.ts";

describe("an address", () => {
  test.each([
    ...[
      "127.0.0.1",
      "127.255.0.1",
      "0.0.0.0",
      "0.1.2.3",
      "10.0.0.1",
      "172.16.0.1",
      "172.31.255.255",
    ],
    ...["192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.255", "224.0.0.1"],
    ...["239.255.255.255", "240.0.0.1", "255.255.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1"],
    ...["198.51.100.1", "203.0.113.1", "192.88.99.1"],
    ...["::", "::1", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1", "fc00::1", "fd00:ec2::254"],
    ...["ff02::1", "2001:db8::1", "2001::1", "2002:7f00:1::1", "100::1", "4000::1"],
    // what IPv4 looks like from IPv6: mapped, compatible, translated, through NAT64
    ...["::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "::ffff:0:10.0.0.1"],
    ...["64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::10.0.0.1", "64:ff9b::8.8.8.8"],
  ])("%s is not public", (address) => {
    expect(isPublic(address)).toBe(false);
  });

  test.each([
    ...["8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1"],
    ...["169.253.0.1", "2606:4700:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8"],
  ])("%s is public", (address) => {
    expect(isPublic(address)).toBe(true);
  });
});

describe("a host that is an address, in whatever form,", () => {
  test.each([
    ...[
      "http://127.0.0.1",
      "http://2130706433",
      "http://0x7f.1",
      "http://0177.0.0.1",
      "http://127.1",
    ],
    ...["http://127.0.0.1.", "http://127%2e0%2e0%2e1", "http://①②⑦.0.0.1", "http://0/"],
    ...["http://[::1]", "http://[0:0:0:0:0:0:0:1]", "http://[::ffff:7f00:1]", "http://[fd00::1]"],
    ...["http://[::ffff:169.254.169.254]/latest", "https://169.254.169.254/latest/meta-data"],
  ])("is refused: %s", (url) => {
    expect(() => requirePublicHost(new URL(url))).toThrow("no public address");
  });

  test.each([
    "http://8.8.8.8",
    "http://[2606:4700::1]",
    "https://localhost",
    "https://example.com",
  ])("is not refused, or is a name: %s", (url) => {
    expect(() => requirePublicHost(new URL(url))).not.toThrow();
  });
});

/** What a look-up through {@link publicOnly} gives, when names mean these addresses. */
async function lookUp(addresses: readonly string[], all = true): Promise<unknown> {
  const lookup: LookupFunction = (_host, _options, callback) =>
    callback(
      null,
      addresses.map(
        (address): LookupAddress => ({ address, family: address.includes(":") ? 6 : 4 }),
      ),
    );
  return new Promise((resolve, reject) => {
    publicOnly(lookup)("hooks.example.com", { all }, (error, address, family) =>
      error ? reject(error) : resolve(all ? address : [address, family]),
    );
  });
}

describe("a name", () => {
  test("means the addresses that were found", async () => {
    expect(await lookUp(["8.8.8.8", "2606:4700::1"])).toEqual([
      { address: "8.8.8.8", family: 4 },
      { address: "2606:4700::1", family: 6 },
    ]);
    expect(await lookUp(["2606:4700::1"], false)).toEqual(["2606:4700::1", 6]);
  });

  test.each([[["10.0.0.1"]], [["8.8.8.8", "10.0.0.1"]], [["::1", "8.8.8.8"]]])(
    "is refused if any of them is private: %j",
    async (addresses) => {
      await expect(lookUp(addresses)).rejects.toThrow(/^hooks.example.com is at .* no public/);
      await expect(lookUp(addresses, false)).rejects.toThrow("no public address");
    },
  );

  test("that has no address is refused", async () => {
    await expect(lookUp([])).rejects.toThrow("has no address");
  });

  test("is looked up by the given look-up, whose failure is passed on", async () => {
    const failing: LookupFunction = (_host, _options, callback) =>
      callback(new Error("no such name"), []);
    const refused = new Promise((_resolve, reject) => {
      publicOnly(failing)("x", { all: true }, (error) => reject(error));
    });
    await expect(refused).rejects.toThrow("no such name");
  });
});
