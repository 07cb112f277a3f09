import type { Random } from "./random.ts";
import type { TracedCall } from "./traced-call.ts";

/** One log-normal part of a mixture: its share, its median and the spread of its logarithm. */
interface LogNormal {
  readonly share: number;
  readonly median: number;
  readonly sigma: number;
}

/*
 * Where the numbers come from: 19,366 calls of a chat service in production within an hour (Azure
 * LLM inference trace 2023, CC-BY 4.0, described in Splitwise, ISCA 2024). Each of the three
 * quantities was fitted alone, as four log-normals by expectation maximisation on the logarithms,
 * 600 rounds. Alone, because the logarithms of input and output hardly correlate (0.09). Four,
 * because with fewer the peaks at a context of 1,000 and an answer of 400 tokens are lost, and a
 * fifth moves no quantile by much. Quantiles, the trace against 50,000 draws:
 *
 *              5 %    25 %    50 %    75 %    95 %    99 %    mean
 *   input      181     396   1,020   1,189   4,083   4,142   1,155 tokens
 *     drawn    192     360   1,007   1,196   3,690   5,537   1,153
 *   output      41      85     129     395     451     601     211 tokens
 *     drawn     41      82     129     394     450     583     210
 *   gap        6.3      48     118     247     565     891     181 ms
 *     drawn    6.1      48     120     247     562     907     183
 */
const INPUT_TOKENS: readonly LogNormal[] = [
  { share: 0.041, median: 89.7, sigma: 1.353 },
  { share: 0.368, median: 333.9, sigma: 0.349 },
  { share: 0.412, median: 1091.7, sigma: 0.102 },
  { share: 0.179, median: 2926.2, sigma: 0.394 },
];
const OUTPUT_TOKENS: readonly LogNormal[] = [
  { share: 0.138, median: 68.2, sigma: 0.955 },
  { share: 0.536, median: 99.8, sigma: 0.407 },
  { share: 0.054, median: 506.6, sigma: 0.138 },
  { share: 0.272, median: 404.2, sigma: 0.045 },
];
const GAP_MS: readonly LogNormal[] = [
  { share: 0.078, median: 5.4, sigma: 2.282 },
  { share: 0.324, median: 49.9, sigma: 1.056 },
  { share: 0.385, median: 132.7, sigma: 0.676 },
  { share: 0.213, median: 344.6, sigma: 0.527 },
];

// The largest values in that trace: the tails of a log-normal have no end, those of a service do.
const MOST_INPUT_TOKENS = 14_050;
const MOST_OUTPUT_TOKENS = 1_000;
const LONGEST_GAP_MS = 4_315;

const START = Date.UTC(2024, 0, 1);

/** Makes `count` calls whose sizes and distances are spread like those of a real chat service. */
export function* generateTrace(random: Random, count: number): Generator<TracedCall> {
  let at = START;
  for (let call = 0; call < count; call += 1) {
    yield {
      at,
      usage: {
        input: tokens(random, INPUT_TOKENS, MOST_INPUT_TOKENS),
        output: tokens(random, OUTPUT_TOKENS, MOST_OUTPUT_TOKENS),
      },
    };
    at += Math.min(draw(random, GAP_MS), LONGEST_GAP_MS);
  }
}

function tokens(random: Random, mixture: readonly LogNormal[], most: number): number {
  return Math.min(Math.max(Math.round(draw(random, mixture)), 1), most);
}

function draw(random: Random, mixture: readonly LogNormal[]): number {
  const part = random.weighted(mixture.map(({ share }) => share));
  const { median, sigma } = mixture[part] as LogNormal;
  return median * Math.exp(sigma * random.normal());
}
