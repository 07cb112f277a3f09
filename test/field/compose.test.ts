// docker-compose.yml without Docker: its contents, and its commands run with its environment.
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { baseledger, start } from "../support/cli.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";
import { until } from "../support/until.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..", "..");
const text = readFileSync(join(root, "docker-compose.yml"), "utf8");

interface Service {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly ports: readonly string[];
  readonly healthcheck: { readonly test: readonly string[] };
  readonly build?: { readonly context: string; readonly dockerfile: string };
}
const services: Readonly<Record<string, Service>> = parse(text, { merge: true }).services;
const { migrate, worker } = services as { migrate: Service; worker: Service };

// Characters with a meaning in an address, a shell or YAML.
const PASSWORD = "p@ss/w#rd:?&%40 $'\"\\";
const LOGIN = "compose_worker";

let database: TestDatabase;
let admin: postgres.Sql;

beforeAll(async () => {
  database = await createDatabase("empty");
  admin = postgres(database.url, { max: 1, onnotice: () => undefined });
});

afterAll(async () => {
  await admin.end();
  await database.drop();
});

/** The environment of a service, with the server of the tests. */
function environmentOf({ environment }: Service, user: string, password: string) {
  const { hostname, port, pathname } = new URL(database.url);
  const server = { PGHOST: hostname, PGPORT: port, PGDATABASE: pathname.slice(1) };
  expect(Object.keys(environment).sort()).toEqual(["PGDATABASE", "PGHOST", "PGPASSWORD", "PGUSER"]);
  expect(environment.PGPASSWORD).toMatch(/^(\$\{\w+:-baseledger\}|baseledger)$/);
  return { ...environment, ...server, PGUSER: user, PGPASSWORD: password };
}

describe("docker-compose.yml", () => {
  test("has no password in an address", () => {
    for (const { environment = {} } of Object.values(services)) {
      expect(Object.values(environment).filter((value) => value.includes("://"))).toEqual([]);
    }
  });

  test("names its variables in the comment at the top", () => {
    const comment = text.slice(0, text.indexOf("\nname:"));
    const variables = new Set([...text.matchAll(/\$\{(\w+)/g)].map(([, name = ""]) => name));
    expect(variables.size).toBeGreaterThan(3);
    for (const name of variables) expect(comment).toContain(name);
  });

  test("publishes ports on the loopback address only", () => {
    const ports = Object.values(services).flatMap((service) => service.ports ?? []);
    expect(ports.length).toBe(2);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\$\{\w+:-\d+\}:\d+$/);
  });

  test("builds its images from files that exist", () => {
    for (const { build } of Object.values(services)) {
      if (build) expect(existsSync(join(root, build.context, build.dockerfile))).toBe(true);
    }
  });

  test("publishes the port of the worker that its health check uses", () => {
    const port = worker.command[worker.command.indexOf("--port") + 1];
    expect(worker.ports.map((published) => published.split(":").at(-1))).toEqual([port]);
    expect(worker.healthcheck.test.join(" ")).toContain(`:${port}/health/ready`);
  });
});

test("the commands accept any password", async () => {
  const { username, password } = new URL(database.url);
  const env = environmentOf(migrate, username, decodeURIComponent(password));
  expect(await baseledger(migrate.command, env)).toMatchObject({ code: 0, stderr: "" });
  const [installed] = await admin`select to_regclass('baseledger.journal') as journal`;
  expect(installed?.journal).not.toBeNull();

  await admin.unsafe(`create role ${LOGIN} login password '${PASSWORD.replaceAll("'", "''")}'
    in role baseledger_worker`);
  try {
    await admin.unsafe(`grant create on database ${database.url.split("/").at(-1)} to ${LOGIN}`);
    await runWorker(environmentOf(worker, LOGIN, PASSWORD));
  } finally {
    await admin.unsafe(`drop owned by ${LOGIN} cascade; drop role ${LOGIN}`);
  }
});

async function runWorker(env: Readonly<Record<string, string>>): Promise<void> {
  const anyPort = worker.command.map((word) => (word === "9464" ? "0" : word));
  const { child, said, ended } = start(anyPort, env);
  const port = await until("it listens", () => /metrics on port (\d+)/.exec(said())?.[1]);
  await until("it is healthy", () => isHealthy(port));
  child.kill("SIGTERM");
  expect(await ended).toMatchObject({ code: 0 });
  expect(await isHealthy(port)).toBe(false);
}

/** Runs the health check as the engine would. */
async function isHealthy(port: string): Promise<boolean> {
  const [kind, program, ...args] = worker.healthcheck.test;
  expect([kind, program]).toEqual(["CMD", "node"]);
  const ofPort = args.map((word) => word.replace("9464", port));
  return run(process.execPath, ofPort).then(
    () => true,
    () => false,
  );
}
