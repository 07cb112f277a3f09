// A program that sends calls and records them in a file, until it is killed.
import "./end-with-input.ts";
import { recordTo } from "./history.ts";
import { startLoad } from "./load.ts";
import type { ClientOrders } from "./processes.ts";

const { url, file, ...crowd }: ClientOrders = JSON.parse(process.argv[2] ?? "");
startLoad({ ...crowd, recorder: recordTo(file), urls: [url], bySql: 1, callers: 2 });
