// A program that sends calls, and records them in a file, until it is killed.
import "./end-with-input.ts";
import { recordTo } from "./history.ts";
import { startLoad } from "./load.ts";
import type { ClientOptions } from "./processes.ts";

const { url, file, ...crowd }: ClientOptions = JSON.parse(process.argv[2] ?? "");
startLoad({ ...crowd, recorder: recordTo(file), urls: [url], bySql: 1, callers: 2 });
