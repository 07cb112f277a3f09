// Bad usage, through SQL, batches, the client and the wrappers: each its code, with the detail that
// says which, and nothing changed.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLedger as createClient, type Ledger } from "../../src/client/ledger.ts";
import { LedgerError } from "../../src/errors/index.ts";
import * as wrappers from "../../src/generated/index.ts";
import type { Json } from "../../src/json/index.ts";
import { urlOf } from "../client/support.ts";
import {
  type Arguments,
  call,
  command,
  expectRefusal,
  failure,
  openWallet,
  post,
  postMany,
} from "../support/ledger.ts";
import { useLedger } from "./ledger.ts";

const input = useLedger();
let client: Ledger;

const model = "acme/model";

beforeAll(async () => {
  await openWallet(input.ledger, "cents", 1000n, { scale: 2n });
  client = createClient(urlOf(input.ledger));
  // From ever, as the reservation was opened before.
  const set = (args: Partial<wrappers.SetPriceArgs> & Pick<wrappers.SetPriceArgs, "model">) =>
    wrappers.setPrice(input.ledger.operator, { rates: null, validFrom: "-infinity", ...args });
  await set({ model, rates: { input: 0n, output: 10n ** 9n } });
  await set({ model: "acme/dear", rates: { output: 10n ** 18n } });
  await set({ model: "acme/euro", rates: { input: 1n }, currency: "EUR" });
  await set({ model: "acme/alias", aliasOf: model });
});
afterAll(() => client.close());

type Refusal = [what: string, usage: Json, code: string, detail: Record<string, Json>];

const argument = { field: "usage", reason: expect.any(String) };
const price = (reason: string, more: Record<string, Json> = {}) => ({
  reason,
  model,
  variant: "standard",
  ...more,
});

const INVALID: readonly [string, Json][] = [
  ["an empty object", {}],
  ["a list", [{ model, input: 1 }]],
  ["a string", "input"],
  ["a number", 5],
  ["true", true],
  ["no kind", { model }],
  ["no kind but a variant", { model, variant: "standard" }],
  ["a negative count", { model, input: -1 }],
  ["a fraction", { model, input: 1.5 }],
  ["a small fraction", { model, input: 1e-9 }],
  ["a count in a string", { model, input: "1" }],
  ["null", { model, input: null }],
  ["a list of counts", { model, input: [1] }],
  ["an object", { model, input: { text: 1 } }],
  ["10^12 + 1", { model, input: 1_000_000_000_001 }],
  ["10^18 tokens", { model, input: 10n ** 18n }],
  ["10^30 tokens", { model, input: 10n ** 30n }],
  ["a model without its provider", { model: "model", input: 1 }],
  ["a model without a name", { model: "acme/", input: 1 }],
  ["a provider without a name", { model: "/model", input: 1 }],
  ["an empty model", { model: "", input: 1 }],
  ["a model that is a number", { model: 5, input: 1 }],
  ["a variant that is a number", { model, variant: 5, input: 1 }],
  ["a cost beyond 64 bits", { model: "acme/dear", output: 10n ** 12n }],
];

const REFUSED: readonly Refusal[] = [
  ...INVALID.map(([what, usage]): Refusal => [what, usage, "LGARG", argument]),
  [
    "an unknown model",
    { model: "acme/other", input: 1 },
    "LGPRC",
    price("model", { model: "acme/other" }),
  ],
  [
    "a longer name",
    { model: `${model}-2`, input: 1 },
    "LGPRC",
    price("model", { model: `${model}-2` }),
  ],
  [
    "another case",
    { model: "acme/Model", input: 1 },
    "LGPRC",
    price("model", { model: "acme/Model" }),
  ],
  [
    "an unknown variant",
    { model, variant: "batch", input: 1 },
    "LGPRC",
    price("variant", { variant: "batch" }),
  ],
  ["an unknown kind", { model, input: 1, pages: 0 }, "LGPRC", price("kind", { kind: "pages" })],
  ["a kind in another case", { model, Input: 1 }, "LGPRC", price("kind", { kind: "Input" })],
  [
    "an unknown kind of an alias",
    { model: "acme/alias", pages: 1 },
    "LGPRC",
    price("kind", { model: "acme/alias", kind: "pages" }),
  ],
  [
    "another currency",
    { model: "acme/euro", input: 1 },
    "LGPRC",
    price("currency", { model: "acme/euro", currency: "EUR", unit: "USD" }),
  ],
];

/** The commands that take usage, in the wallet `w`. */
const COMMANDS: Readonly<Record<string, Arguments>> = {
  reserve: { idempotency_key: "k", ttl: "1 minute" },
  // Opened by an amount, so that usage has to name its model.
  settle: { idempotency_key: "k", reservation_id: "open" },
  charge: { idempotency_key: "k" },
};
const NAMES = Object.keys(COMMANDS);

/** Sends a command by each way that is there; gives the refusals. */
async function refusals(name: string, args: Arguments): Promise<{ code: string; detail: Json }[]> {
  const { wallet_id = "w", ...rest } = { ...COMMANDS[name], ...args };
  const own = { op: name, ...rest };
  const [single] = await post(input.sql, String(wallet_id), [own]);
  const [many] = await postMany(input.sql, [{ wallet_id, ...own }]);
  const [funds] = await call<typeof single>(input.sql, "post_funds", {
    wallet_id,
    commands: [own] as Json,
  });
  return [single, many, funds].map((receipt) => ({
    code: receipt?.refused ?? "granted",
    detail: receipt?.detail ?? null,
  }));
}

/** Sends it by the client, also in a transaction, and by the wrapper; gives the errors. */
async function errors(name: string, args: Arguments): Promise<LedgerError[]> {
  const given = Object.entries({ wallet_id: "w", ...COMMANDS[name], ...args }).map(
    ([key, value]) => [
      key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      value,
    ],
  );
  const all = Object.fromEntries(given);
  const wrapper = (wrappers as unknown as Record<string, typeof wrappers.charge>)[name];
  const method = (methods: unknown) =>
    (methods as Record<string, (args: never) => Promise<unknown>>)[name];
  const attempts = [
    method(client)?.(all as never),
    method(client.with(input.ledger.agent))?.(all as never),
    wrapper?.(input.ledger.agent, all as never),
  ];
  const settled = await Promise.allSettled(attempts);
  return settled.map((each) => (each.status === "rejected" ? each.reason : undefined));
}

describe.each(REFUSED)("%s", (_, usage, code, detail) => {
  test.each(NAMES)("%s", async (name) => {
    await input.unchanged(async () => {
      const args = withAmount({ ...COMMANDS[name], wallet_id: "w", usage });
      expect(await expectRefusal(code, command(input.sql, name, args))).toEqual(detail);
      for (const refusal of await refusals(name, { usage })) {
        expect(refusal).toEqual({ code, detail });
      }
      for (const error of await errors(name, { usage })) {
        expect(error).toBeInstanceOf(LedgerError);
        expect(error).toMatchObject({ code, ...detail });
      }
    });
  });
});

/** p_amount has no default. */
function withAmount(args: Arguments): Arguments {
  return { amount: null, ...args };
}

describe("usage beside an amount, or neither", () => {
  test.each(NAMES)("%s", async (name) => {
    await input.unchanged(async () => {
      const both = { usage: { model, input: 1 }, amount: 5n };
      for (const [args, field] of [
        [both, "usage"],
        [{ ...both, amount: 0n }, name === "settle" ? "usage" : "amount"],
        [{}, "amount"],
        [{ usage: null }, "amount"],
      ] as const) {
        const all = withAmount({ ...COMMANDS[name], wallet_id: "w", ...args });
        expect(await expectRefusal("LGARG", command(input.sql, name, all))).toMatchObject({
          field,
        });
        for (const refusal of await refusals(name, args)) {
          expect(refusal).toMatchObject({ code: "LGARG", detail: { field } });
        }
        for (const error of await errors(name, args)) {
          expect(error).toMatchObject({ code: "LGARG", field });
        }
      }
    });
  });
});

describe("a wallet that usage has no price in", () => {
  const usage = { model, input: 1 };
  test.each(["reserve", "charge"])("%s", async (name) => {
    await input.unchanged(async () => {
      for (const [wallet_id, detail] of [
        ["tokens", price("currency", { currency: "USD", unit: "tokens" })],
        ["cents", price("scale", { scale: 2 })],
      ] as const) {
        const all = withAmount({ ...COMMANDS[name], wallet_id, usage });
        expect(await expectRefusal("LGPRC", command(input.sql, name, all))).toEqual(detail);
        for (const refusal of await refusals(name, { wallet_id, usage })) {
          expect(refusal).toEqual({ code: "LGPRC", detail });
        }
        for (const error of await errors(name, { wallet_id, usage })) {
          expect(error).toMatchObject({ code: "LGPRC", ...detail });
        }
      }
    });
  });
});

test("commands that have no price take no usage", async () => {
  await input.unchanged(async () => {
    for (const op of ["cancel", "extend", "credit", "withdraw", "refund"]) {
      const own = { op, idempotency_key: "k", reservation_id: "open", usage: { model, input: 1 } };
      const [receipt] = await call<{ refused: string; detail: Json }>(input.sql, "post_funds", {
        wallet_id: "w",
        commands: [own] as Json,
      });
      expect([op, receipt]).toMatchObject([op, { refused: "LGARG" }]);
    }
  });
});

test("a price of 0 only where it was set as 0", async () => {
  await input.undone(async (tx) => {
    const args = withAmount({ wallet_id: "w", idempotency_key: "k", usage: { model, input: 10 } });
    expect(await command(tx, "charge", args)).toMatchObject({ event: "charged", amount: 0n });
    const other = { ...args, usage: { model, cache_read: 0 }, idempotency_key: "l" };
    expect(await failure(command(tx, "charge", other))).toMatchObject({ code: "LGPRC" });
  });
});
