// Tools with a price of their own: what is held, what is booked, and what the caller of a tool gets.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { CallToolRequestSchema, type CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  expectTypeOf,
  test,
} from "vitest";
import { z } from "zod";
import {
  InsufficientFundsError,
  LimitReachedError,
  NotSettledError,
  OverdraftLimitError,
  PriceNotFoundError,
  UsageNotPricedError,
} from "../../src/errors/index.ts";
import { budgeted } from "../../src/meter/index.ts";
import { DOLLAR, fails, type Meter, startMeter } from "./support.ts";

const CENT = DOLLAR / 100n;
const SEARCH = { model: "tools/search", requests: 1 };

let meter: Meter;
let wallet: string;

beforeAll(async () => {
  meter = await startMeter();
  const rates = { requests: CENT * 1_000_000n, pages: CENT * 100_000n };
  await meter.operator.setPrice({ model: "tools/search", rates });
});
afterAll(() => meter[Symbol.asyncDispose]());
beforeEach(async () => {
  wallet = await meter.wallet(10n * CENT);
});
afterEach(async () => {
  expect((await meter.books(wallet)).reserved).toBe(0n);
});

const spent = async () => (await meter.books(wallet)).spent;

describe("a tool", () => {
  test("costs what it reports", async () => {
    const double = budgeted(
      meter.ledger,
      { wallet, amount: 5n * CENT },
      (reservation, n: number) => {
        expect(reservation.amount).toBe(5n * CENT);
        reservation.spend(2n * CENT, { pages: 2 });
        reservation.spend(1n * CENT);
        expect(reservation.spent).toBe(3n * CENT);
        return 2 * n;
      },
    );
    expectTypeOf(double).toEqualTypeOf<(n: number) => Promise<number>>();
    expect(await double(21)).toBe(42);
    expect(await spent()).toBe(3n * CENT);
  });

  test("costs its hold without a report: an amount, or usage", async () => {
    const say = (_: unknown, text: string) => text;
    expect(await budgeted(meter.ledger, { wallet, amount: 2n * CENT }, say)("a")).toBe("a");
    expect(await spent()).toBe(2n * CENT);
    expect(await budgeted(meter.ledger, { wallet, usage: SEARCH }, say)("b")).toBe("b");
    expect(await spent()).toBe(3n * CENT);
    const lines = await meter.operator.spending({ walletId: wallet, by: ["model"] });
    expect(lines.map(({ labelValues, amount }) => [labelValues[0], String(amount)])).toEqual([
      ["", String(2n * CENT)],
      ["tools/search", String(CENT)],
    ]);
    const ends = await meter.ends(wallet);
    expect(ends.map(({ basis }) => basis)).toEqual(["hold", "hold"]);
  });

  test("costs the usage that it reports, also several times", async () => {
    const most = { model: "tools/search", requests: 2, pages: 10 };
    const search = budgeted(meter.ledger, { wallet, usage: most }, (reservation) => {
      reservation.spend({ requests: 1, pages: 3 });
      reservation.spend({ requests: 1 });
    });
    await search();
    expect(await spent()).toBe(2n * CENT + (3n * CENT) / 10n);
  });

  test("may end its reservation by itself", async () => {
    const budget = { wallet, amount: 5n * CENT };
    await budgeted(meter.ledger, budget, (reservation) => reservation.settle(CENT))();
    expect(await spent()).toBe(CENT);
    await budgeted(meter.ledger, budget, (reservation) => reservation.cancel())();
    await budgeted(meter.ledger, budget, (reservation) => reservation.close())();
    expect(await spent()).toBe(CENT);
    expect((await meter.ends(wallet)).map(({ event }) => event)).toEqual([
      "settled",
      "cancelled",
      "cancelled",
    ]);
  });

  test("that throws costs what it has reported, or nothing", async () => {
    const fail = (more: bigint | undefined) =>
      budgeted(meter.ledger, { wallet, amount: 5n * CENT }, (reservation) => {
        if (more !== undefined) reservation.spend(more);
        throw new RangeError("out of range");
      });
    expect(await fails(fail(undefined)())).toBeInstanceOf(RangeError);
    expect(await spent()).toBe(0n);
    expect(await fails(fail(CENT)())).toBeInstanceOf(RangeError);
    expect(await spent()).toBe(CENT);
  });

  test("that throws costs what `onThrow` says", async () => {
    const budget = { wallet, amount: 5n * CENT, onThrow: 2n * CENT };
    await fails(
      budgeted(meter.ledger, budget, () => {
        throw new Error("cut off");
      })(),
    );
    expect(await spent()).toBe(2n * CENT);
  });

  test("does not run if the wallet cannot pay, or a limit is reached, or it has no price", async () => {
    let runs = 0;
    const run = () => {
      runs += 1;
    };
    const dear = budgeted(meter.ledger, { wallet, amount: 11n * CENT }, run);
    expect(await fails(dear())).toBeInstanceOf(InsufficientFundsError);
    const limit = { walletId: wallet, limitId: "calls", of: "calls", amount: 1n, per: "day" };
    await meter.operator.setLimit(limit);
    const cheap = budgeted(meter.ledger, { wallet, amount: 1n }, run);
    await cheap();
    expect(await fails(cheap())).toBeInstanceOf(LimitReachedError);
    const unknown = { wallet, usage: { model: "tools/none", requests: 1 } };
    expect(await fails(budgeted(meter.ledger, unknown, run)())).toBeInstanceOf(PriceNotFoundError);
    expect(runs).toBe(1);
  });

  test("has a budget by its arguments, with labels", async () => {
    const read = budgeted(
      meter.ledger,
      (user: string, pages: number) => ({
        wallet,
        usage: { model: "tools/search", pages },
        labels: { user },
      }),
      () => "done",
    );
    await read("ann", 3);
    await read("bob", 5);
    const lines = await meter.operator.spending({ walletId: wallet, by: ["user"] });
    expect(lines.map(({ labelValues, amount }) => [labelValues[0], Number(amount)])).toEqual([
      ["ann", 3_000_000],
      ["bob", 5_000_000],
    ]);
  });

  test("gets less where it accepts that, and costs no more than it got", async () => {
    const usage = { model: "tools/search", requests: 20 };
    const got = await budgeted(
      meter.ledger,
      { wallet, usage, atLeast: CENT },
      ({ amount }) => amount,
    )();
    expect(got).toBe(10n * CENT);
    expect(await spent()).toBe(10n * CENT);
  });

  test("waits for what others hold", async () => {
    const begun = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    const slow = budgeted(meter.ledger, { wallet, amount: 8n * CENT }, async (reservation) => {
      begun.resolve();
      await end.promise;
      reservation.spend(CENT);
    })();
    await begun.promise;
    const waiting = budgeted(meter.ledger, { wallet, amount: 8n * CENT, wait: 30 }, () => "ran")();
    end.resolve();
    expect(await Promise.all([slow, waiting])).toEqual([undefined, "ran"]);
    expect(await spent()).toBe(9n * CENT);
  });

  test("whose cost cannot be booked fails with what it gave, and what to send again", async () => {
    await meter.operator.setOverdraftLimit({ walletId: wallet, overdraftLimit: 0n });
    const overspend = budgeted(meter.ledger, { wallet, amount: CENT }, (reservation) => {
      reservation.spend(11n * CENT);
      return "bought";
    });
    const error = (await fails(overspend())) as NotSettledError;
    expect(error).toBeInstanceOf(NotSettledError);
    expect(error.cause).toBeInstanceOf(OverdraftLimitError);
    expect(error.outcome).toEqual({ status: "fulfilled", value: "bought" });
    await meter.operator.credit({ walletId: wallet, amount: CENT });
    await meter.ledger.settle(error as Parameters<typeof meter.ledger.settle>[0]);
    expect(await spent()).toBe(11n * CENT);
    const unpriced = budgeted(meter.ledger, { wallet: await meter.wallet(), usage: SEARCH }, (r) =>
      r.spend({ hours: 1 }),
    );
    expect(await fails(unpriced())).toBeInstanceOf(UsageNotPricedError);
  });
});

describe("a tool of an MCP server", () => {
  const text = (result: unknown) =>
    (result as CallToolResult).content.map((each) => Object(each).text);

  async function connect(server: McpServer | Server): Promise<Client> {
    const client = new Client({ name: "client", version: "1" });
    const [there, here] = InMemoryTransport.createLinkedPair();
    await Promise.all([server.connect(there), client.connect(here)]);
    return client;
  }

  test("is paid by each call; a refusal is a result with isError, and what the ledger says", async () => {
    const server = new McpServer({ name: "server", version: "1" });
    server.registerTool(
      "search",
      { inputSchema: { query: z.string() } },
      budgeted(
        meter.ledger,
        { wallet, amount: 4n * CENT, name: "search" },
        async (reservation, { query }: { query: string }) => {
          reservation.spend(3n * CENT);
          return { content: [{ type: "text" as const, text: `found ${query}` }] };
        },
      ),
    );
    const client = await connect(server);
    const search = (query: string) => client.callTool({ name: "search", arguments: { query } });
    for (const query of ["a", "b", "c"])
      expect(text(await search(query))).toEqual([`found ${query}`]);
    const refused = await search("d");
    expect(refused).toMatchObject({
      isError: true,
      _meta: {
        "baseledger/refusal": {
          code: "LGNSF",
          detail: { requested: "40000000", available: "10000000", reason: "exhausted" },
        },
      },
    });
    expect(text(refused)[0]).toMatch(/^Refused: insufficient funds.*\(LGNSF\)$/);
    expect(await spent()).toBe(9n * CENT);
    await client.close();
  });

  test("costs nothing if it throws, and fails as any other", async () => {
    const server = new McpServer({ name: "server", version: "1" });
    server.registerTool(
      "fail",
      {},
      budgeted(meter.ledger, { wallet, amount: CENT }, (): CallToolResult => {
        throw new Error("no luck");
      }),
    );
    const client = await connect(server);
    const result = await client.callTool({ name: "fail" });
    expect([result.isError, text(result)]).toEqual([true, ["no luck"]]);
    expect(await spent()).toBe(0n);
    await client.close();
  });

  test("of a server without classes for tools is refused in the same way", async () => {
    const server = new Server({ name: "s", version: "1" }, { capabilities: { tools: {} } });
    server.setRequestHandler(
      CallToolRequestSchema,
      budgeted(meter.ledger, { wallet, amount: 11n * CENT }, () => ({ content: [] })),
    );
    const client = await connect(server);
    const result = await client.callTool({ name: "any" });
    expect(result).toMatchObject({ isError: true, _meta: { "baseledger/refusal": {} } });
    await client.close();
  });
});
