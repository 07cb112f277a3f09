/*
 * `baseledger/wire`: what generated modules import. A module belongs to the version of the package
 * that generated it: after an upgrade, generate it again.
 */

export type { Json, Usage } from "../json/index.ts";
export type { Queryable } from "./call.ts";
export * as call from "./call.ts";
export * as read from "./read.ts";
export * as write from "./write.ts";
