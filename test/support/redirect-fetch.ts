// Loaded before an example: what it asks the providers of models is asked of the fake one.
const HOSTS = new Set(["api.openai.com", "api.anthropic.com", "generativelanguage.googleapis.com"]);
const send = globalThis.fetch;

globalThis.fetch = async (input, init) => {
  const url = new URL(input instanceof Request ? input.url : input);
  if (!HOSTS.has(url.host)) throw new Error(`an example has asked ${url.host}`);
  const redirected = new URL(`${url.pathname}${url.search}`, process.env.FAKE_PROVIDER);
  return send(input instanceof Request ? new Request(redirected, input) : redirected, init);
};

export {};
