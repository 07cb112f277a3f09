export * from "./errors.ts";
export * from "./generated/baseledger.ts";
export type { Json } from "./json.ts";
export type { Queryable } from "./wire/call.ts";
