interface Known {
  readonly provider: string;
  /** What the host says about the price: a region. */
  readonly region?: string | undefined;
}

/** Hosts of providers, as prices name these. */
const HOSTS: Readonly<Record<string, string>> = {
  "api.openai.com": "openai",
  "api.anthropic.com": "anthropic",
  "generativelanguage.googleapis.com": "google",
  "api.mistral.ai": "mistral",
  "api.deepseek.com": "deepseek",
  "api.groq.com": "groq",
  "api.x.ai": "x-ai",
  "api.cerebras.ai": "cerebras",
  "api.together.xyz": "together",
  "api.together.ai": "together",
  "api.fireworks.ai": "fireworks",
  "api.moonshot.ai": "moonshotai",
};

/** Providers whose streams always report usage, and who turn down a request for it. */
const ALWAYS_REPORT = new Set(["mistral"]);

/** Providers with fees for requests and searches that their usage does not have. */
const UNREPORTED_FEES = new Set(["perplexity"]);

/** Who is behind a host. */
export function providerOf({ hostname }: URL): Known | undefined {
  const provider = HOSTS[hostname];
  if (provider !== undefined) return { provider };
  // OpenAI processes in a region where the host begins with its name, at a price of its own.
  const region = /^([a-z]{2})\.api\.openai\.com$/.exec(hostname)?.[1];
  return region === undefined ? undefined : { provider: "openai", region };
}

/** Whether a stream of chat reports usage only if the request asks for it. */
export function reportsOnRequest(provider: string): boolean {
  return !ALWAYS_REPORT.has(provider);
}

/** Whether usage has all that a call costs. */
export function reportsAllFees(provider: string): boolean {
  return !UNREPORTED_FEES.has(provider);
}
