/* Installs the schema `baseledger` into a database, or brings it up to date. */
export { type Blocker, formatBlocker, formatDuration } from "./blockers.ts";
export { BlockedError, type Waiting } from "./exclusive-transaction.ts";
export { type InstallOptions, installSql, type MigrateOptions, migrate } from "./migrate.ts";
export { loadMigrations, type Migration, packaged, type Source } from "./migration-files.ts";
export { formatDifference, type RightsDifference, RightsError } from "./rights.ts";
