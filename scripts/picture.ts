// npm run picture -- bench.json > docs/throughput.svg
// Draws the throughput of the client and of the naive statement by the number of callers, from the
// output of `baseledger bench --json`.
import { readFileSync } from "node:fs";
import { init } from "echarts";
import type { BenchResult } from "../src/bench/index.ts";

const [file] = process.argv.slice(2);
if (file === undefined) {
  process.stderr.write("usage: npm run picture -- bench.json > picture.svg\n");
  process.exit(2);
}
const { workloads, machine } = JSON.parse(readFileSync(file, "utf8")) as BenchResult;

const SIZE = { width: 760, height: 420 };
const LINES = [
  { name: "BaseLedger, hot", rate: "rate", wallets: "hot", color: "#0b6e4f", type: "solid" },
  { name: "BaseLedger, spread", rate: "rate", wallets: "spread", color: "#0b6e4f", type: "dashed" },
  { name: "naive, hot", rate: "naive", wallets: "hot", color: "#b5442b", type: "solid" },
  { name: "naive, spread", rate: "naive", wallets: "spread", color: "#b5442b", type: "dashed" },
] as const;
const series = LINES.map(({ name, rate, wallets, color, type }) => ({
  name,
  type: "line" as const,
  symbolSize: 7,
  lineStyle: { color, type, width: 2 },
  itemStyle: { color },
  data: workloads
    .filter((workload) => workload.family === "client" && workload.wallets === wallets)
    .map((workload) => [workload.clients, Math.round(workload[rate].median)]),
}));
if (series.some(({ data }) => data.length === 0)) {
  process.stderr.write(`${file} has no results of the client\n`);
  process.exit(1);
}

const picture = init(null, null, { renderer: "svg", ssr: true, ...SIZE });
picture.setOption({
  animation: false,
  backgroundColor: "#ffffff",
  textStyle: { fontFamily: "sans-serif" },
  title: {
    text: "Commands a second, by callers at once",
    subtext:
      "hot: one wallet, spread: 10,000; " +
      `${machine.processors} cores for server and callers, fsync on, PostgreSQL ${machine.postgres}`,
    left: "center",
  },
  legend: { bottom: 0, itemWidth: 45, itemGap: 30 },
  grid: { top: 70, left: 80, right: 30, bottom: 80 },
  xAxis: { type: "log", name: "callers", nameLocation: "middle", nameGap: 28, min: 1, max: 1000 },
  yAxis: { type: "log", axisLabel: { formatter: (rate: number) => rate.toLocaleString("en-US") } },
  series,
});
process.stdout.write(`${picture.renderToSVGString()}\n`);
picture.dispose();
