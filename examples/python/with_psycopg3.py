"""Reserve, call, settle with psycopg 3: DATABASE_URL=postgres://… python3 with_psycopg3.py"""

import json
import os
import time
import uuid
from decimal import Decimal

import psycopg
from psycopg.rows import namedtuple_row
from psycopg.types.json import Jsonb

connection = None


def connect():
    # Without autocommit the first statement would begin a transaction that stays open during the
    # call of the model, and nobody else could use the wallet meanwhile.
    global connection
    if connection is None or connection.closed:
        connection = psycopg.connect(
            os.environ["DATABASE_URL"], autocommit=True, row_factory=namedtuple_row
        )
    return connection


def call(function, **arguments):
    """Calls a function of the ledger; gives its receipt."""
    names = ", ".join(f"p_{name} => %({name})s" for name in arguments)
    query = f"select * from baseledger.{function}({names})"
    return connect().execute(query, arguments).fetchone()


def send(function, **arguments):
    """Calls it again, with the same key, until there is an answer: it acts once.

    A refusal after a lost connection is not final: see db/ERRORS.md.
    """
    give_up = time.monotonic() + 30
    while True:
        try:
            return call(function, **arguments)
        except psycopg.OperationalError:  # a lost connection, 40001, 40P01, a server that restarts
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)


def steps(amount, scale=9):
    """Decimal dollars in nano-dollars, exactly. The ledger takes only whole numbers."""
    whole = int(amount.scaleb(scale))
    if Decimal(whole).scaleb(-scale) != amount:
        raise ValueError(f"{amount} has more than {scale} decimals")
    return whole


def call_model():
    """A stand-in for a model call; gives the usage that the provider reports."""
    return "Hello!", {"input": 1200, "output": 500}


wallet = f"acme-{uuid.uuid4()}"  # a new wallet each time that this is run
send("open_wallet", wallet_id=wallet)
send("credit", wallet_id=wallet, amount=steps(Decimal("10.00")), idempotency_key="invoice-17")

# An operator sets prices, once for all wallets, or imports them: npx baseledger prices import.
rates = {"input": steps(Decimal("1.25")), "output": steps(Decimal("10.00"))}  # a million tokens
send("set_price", model="example/large", rates=Jsonb(rates))

# Before the call: hold what it may use at most. This program knows no price: the ledger computes
# what usage costs. This is committed when it returns.
most = {"model": "example/large", "input": 1200, "output": 4000}
hold = dict(wallet_id=wallet, usage=Jsonb(most), amount=None, idempotency_key="call-1", ttl="2 min")
held = send("reserve", **hold)
print(held.event, held.amount, "available", held.available)

# After the call: book what it has used. If it fails, give the hold back, or book what is billed.
which = dict(wallet_id=wallet, reservation_id=held.reservation_id)
try:
    text, usage = call_model()
except Exception as error:
    reason = Jsonb({"reason": type(error).__name__})
    send("cancel", **which, idempotency_key="call-1-cancel", metadata=reason)
    raise
settlement = dict(which, usage=Jsonb(usage), amount=None, idempotency_key="call-1-cost")
settled = send("settle", **settlement)
print(text, settled.event, settled.amount, "available", settled.available)

# The connection breaks, and nobody knows what was done. Sent again, nothing is done twice.
with psycopg.connect(os.environ["DATABASE_URL"]) as other:
    other.execute("select pg_terminate_backend(%s)", (connect().info.backend_pid,))
print("again: replayed", send("settle", **settlement).replayed)

# A refusal is an error with a code, and JSON in its detail. Nothing has changed.
try:
    send("reserve", wallet_id=wallet, amount=steps(Decimal("99.00")), idempotency_key="call-2")
except psycopg.DatabaseError as error:
    if error.diag.sqlstate != "LGNSF":
        raise
    detail = json.loads(error.diag.message_detail)
    print("refused:", detail["reason"], "short of", detail["shortfall"])

# So is usage that has no price, such as that of a model that nobody has set: it is never free.
unknown = Jsonb({"model": "example/unknown", "input": 1200})
try:
    send("charge", wallet_id=wallet, usage=unknown, amount=None, idempotency_key="call-5")
except psycopg.DatabaseError as error:
    if error.diag.sqlstate != "LGPRC":
        raise
    print("refused:", "no price for the", json.loads(error.diag.message_detail)["reason"])

# A Decimal (or a float) is not a whole number: no function takes it. Use steps().
try:
    send("reserve", wallet_id=wallet, amount=Decimal("0.25"), idempotency_key="call-3")
except psycopg.errors.UndefinedFunction as error:
    print("a Decimal:", error.diag.sqlstate)

# Amounts work as well, and rows of your own, in one transaction: commit both, then call. (If this fails, repeat the block.)
with connect().transaction():
    connect().execute("create table if not exists jobs (name text)")
    connect().execute("insert into jobs (name) values (%s)", ("call-4",))
    call("reserve", wallet_id=wallet, amount=steps(Decimal("0.25")), idempotency_key="call-4")
call_model()
last = send(
    "settle",
    wallet_id=wallet,
    reservation_id="call-4",
    amount=steps(Decimal("0.0065")),
    idempotency_key="call-4-cost",
)
print("spent", last.spent, "held", last.reserved)
