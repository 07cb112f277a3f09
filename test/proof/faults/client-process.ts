// A program that sends calls and records them in a file, until it is killed.
import { recordTo } from "./history.ts";
import { startLoad } from "./load.ts";
import type { ClientOrders } from "./processes.ts";

const { url, file, ...crowd }: ClientOrders = JSON.parse(process.argv[2] ?? "");
process.stdin.resume().once("end", () => process.exit());
startLoad({ ...crowd, recorder: recordTo(file), urls: [url], bySql: 1, callers: 2 });
