/*
 * The SQL of `top`; as in views.ts, the right to select from the auditor's views is enough.
 */
import type postgres from "postgres";
import { type LimitUse, limits } from "../generated/index.ts";
import type { Queryable } from "../wire/index.ts";

/** A wallet in a {@link Sample}; amounts are in its smallest step, as text. */
export interface SampledWallet {
  readonly walletId: string;
  readonly unit: string;
  readonly scale: number;
  readonly available: string;
  readonly reserved: string;
  readonly spent: string;
  readonly frozen: boolean;
  /** Whether it has limits. */
  readonly limited: boolean;
  /** Held by reservations that are past their deadline, and not booked as expired yet. */
  readonly due: string;
  readonly open: number;
  /** Spent in the window. */
  readonly spending: string;
  /** Events in the window. */
  readonly events: number;
}

/** What a combination of values has used of a limit; numbers are as in {@link SampledWallet}. */
export interface SampledLimit {
  readonly walletId: string;
  readonly unit: string;
  readonly scale: number;
  readonly limitId: string;
  readonly by: readonly string[];
  readonly values: readonly string[];
  readonly of: string;
  readonly per: string;
  readonly hard: boolean;
  readonly amount: string;
  readonly used: string;
  readonly held: string;
  /** Null: it has no windows. */
  readonly resetsAt: string | null;
}

/** All wallets of one unit and scale together. */
export interface SampledUnit
  extends Omit<SampledWallet, "walletId" | "frozen" | "limited" | "open" | "due"> {
  readonly wallets: number;
  /** Null if it was not looked for. */
  readonly due: string | null;
  readonly dueWallets: number | null;
}

/** The ledger at an instant. */
export interface Sample {
  /** By the database's clock. */
  readonly at: string;
  readonly windowSeconds: number;
  readonly wallets: number;
  readonly events: number;
  readonly open: number;
  /** The longest that an expiry booked in the window came after its deadline; null without one. */
  readonly sweepLagSeconds: number | null;
  /** How many wallets have a last event that lies ahead of the clock. */
  readonly walletsAhead: number;
  /** Those of them that are furthest. */
  readonly ahead: readonly { readonly walletId: string; readonly bySeconds: number }[];
  readonly units: readonly SampledUnit[];
  /** Those that spent most in the window. */
  readonly top: readonly SampledWallet[];
  /** The limits of these of which the greatest part is used. */
  readonly limits: readonly SampledLimit[];
}

/** How many combinations are looked at in a wallet, and how many limits are shown. */
const COMBINATIONS = 1_000;
const MOST_LIMITS = 5;

/** What to read. */
export interface SampleOptions {
  readonly windowSeconds: number;
  /** How many wallets to show one by one. */
  readonly limit: number;
  /** Whether to find what is due in all wallets: that reads the last event of each, some 10 µs. */
  readonly dueOfAll: boolean;
}

/**
 * Reads the state of the ledger and of its busiest wallets: the row of each wallet, the events of
 * the window, found by the wallet's key, and the open reservations; never all of the journal.
 */
export async function sample(
  sql: postgres.Sql,
  { windowSeconds, limit, dueOfAll }: SampleOptions,
): Promise<Sample> {
  const [row] = await sql<{ sample: string }[]>`
    with sampled as materialized (
      select b.wallet_id, b.unit, b.scale, b.available, b.reserved, b.spent, b.frozen, b.seq,
          b.last_event_at, b.limited,
          extract('epoch' from b.ahead_by) as ahead,
          l.reserved - b.reserved as due,
          case when b.last_event_at > w.since then b.spent - coalesce(k.spent, 0) else 0 end
            as spending,
          a.events, a.lag
        from baseledger.wallet_balances b
        cross join (
          select statement_timestamp() - make_interval(secs => ${windowSeconds}) as since
        ) as w
        left join lateral (
          select j.reserved
            from baseledger.journal j
            where j.wallet_id = b.wallet_id and j.seq = b.seq and ${dueOfAll}::boolean
            limit 1
        ) as l on true
        left join lateral (
          select j.seq, j.spent
            from baseledger.journal j
            where j.wallet_id = b.wallet_id
              and j.occurred_at <= w.since
              and b.last_event_at > w.since
            order by j.seq desc
            limit 1
        ) as k on true
        cross join lateral (
          select count(*) as events,
              max(j.occurred_at - j.expires_at) filter (where j.event = 'expired') as lag
            from baseledger.journal j
            where j.wallet_id = b.wallet_id
              and j.seq > coalesce(k.seq, 0)
              and b.last_event_at > w.since
        ) as a
    ),
    busiest as (
      select s.*, s.spending / 10::numeric ^ s.scale as rank
        from sampled s
        order by rank desc, s.events desc, s.last_event_at desc, s.wallet_id
        limit ${limit}
    )
    select json_build_object(
      'at', statement_timestamp(),
      'windowSeconds', ${windowSeconds}::float8,
      'wallets', (select count(*) from sampled),
      'events', (select coalesce(sum(seq), 0) from sampled),
      'open', (select count(*) from baseledger.open_reservations),
      'sweepLagSeconds', (select extract('epoch' from max(lag)) from sampled),
      'walletsAhead', (select count(ahead) from sampled),
      'ahead', coalesce((
        select json_agg(a order by a."bySeconds" desc, a."walletId")
          from (
            select wallet_id as "walletId", ahead as "bySeconds"
              from sampled
              where ahead is not null
              order by ahead desc, wallet_id
              limit 3
          ) as a
      ), '[]'),
      'units', coalesce((
        select json_agg(u order by u.wallets desc, u.unit, u.scale)
          from (
            select unit, scale, count(*) as wallets, sum(available)::text as available,
                sum(reserved)::text as reserved, sum(spent)::text as spent, sum(due)::text as due,
                case when ${dueOfAll}::boolean then count(*) filter (where due > 0) end
                  as "dueWallets",
                sum(spending)::text as spending, sum(events) as events
              from sampled
              group by unit, scale
          ) as u
      ), '[]'),
      'top', coalesce((
        select json_agg(t order by t.place)
          from (
            select row_number() over (
                  order by rank desc, events desc, last_event_at desc, wallet_id
                ) as place,
                wallet_id as "walletId", unit, scale, available::text, reserved::text,
                spent::text, frozen, limited, spending::text, events, (
                  select (j.reserved - b.reserved)::text
                    from baseledger.journal j
                    where j.wallet_id = b.wallet_id and j.seq = b.seq
                ) as due, (
                  select count(*)
                    from baseledger.open_reservations o
                    where o.wallet_id = b.wallet_id
                ) as open
              from busiest b
          ) as t
      ), '[]')
    )::text as sample`;
  const read = JSON.parse(row?.sample ?? "") as Omit<Sample, "limits">;
  return { ...read, limits: await mostUsed(sql, read.top) };
}

/** Finds the limits of these wallets of which the greatest part is used. */
async function mostUsed(
  sql: Queryable,
  wallets: readonly SampledWallet[],
): Promise<SampledLimit[]> {
  const found: SampledLimit[] = [];
  for (const { limited, scale, unit, walletId } of wallets) {
    if (!limited) continue;
    const uses = await limits(sql, { walletId, limit: COMBINATIONS });
    found.push(...uses.flatMap((use) => toSampled(use, { walletId, unit, scale })));
  }
  const part = ({ amount, used }: SampledLimit): number =>
    Number(used) / Math.max(Number(amount), 1);
  return found.toSorted((a, b) => part(b) - part(a)).slice(0, MOST_LIMITS);
}

/** Nothing if the limit has no amount, or nobody has used it. */
function toSampled(
  use: LimitUse,
  wallet: Pick<SampledLimit, "walletId" | "unit" | "scale">,
): SampledLimit[] {
  const { by, endsAt, hard, labelValues: values, limitId, of, per } = use;
  const amount = use.ownAmount ?? use.amount;
  if (amount === null || values === null) return [];
  const numbers = { amount: `${amount}`, used: `${use.used}`, held: `${use.held}` };
  const resetsAt = endsAt?.toISOString() ?? null;
  return [{ ...wallet, limitId, by, values, of, per, hard, ...numbers, resetsAt }];
}
