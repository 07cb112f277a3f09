export { type Connections, connectToForeign, connectToOwn } from "./connections.ts";
export type { Credit } from "./plan.ts";
export { createDemoProgress, type DemoProgress } from "./progress.ts";
export { introduce, report } from "./report.ts";
export { runDemo } from "./run.ts";
