import fc from "fast-check";
import { expect, test } from "vitest";
import { inputAtMost, tokensAtMost } from "../../src/meter/bound.ts";

const whole = (text: string) => ({ text, passes: 1 });

test("the bound of a text is its bytes, and 1,000 for what providers add", () => {
  expect(inputAtMost(whole("Hello"), 400_000)).toBe(1_005);
  expect(inputAtMost(whole("wörld 🌍"), 400_000)).toBe(1_011);
  expect(inputAtMost(whole("Hello"), undefined)).toBe(1_005);
});

test("a text that normalization makes longer is bounded by what it becomes", () => {
  // One character, 3 bytes, that NFKC makes 18 characters of 33 bytes.
  expect(tokensAtMost("\uFDFA")).toBe(33);
  expect(tokensAtMost("\uFB03")).toBe(3);
});

test("nothing is above the context window", () => {
  expect(inputAtMost(whole("x".repeat(10_000)), 8_192)).toBe(8_192);
});

test("what is not text in the body is bounded by the context window alone", () => {
  expect(inputAtMost({ text: undefined, passes: 1 }, 200_000)).toBe(200_000);
  expect(inputAtMost({ text: undefined, passes: 1 }, undefined)).toBeUndefined();
});

test("what the provider's tools bring in may fill the window at each pass", () => {
  expect(inputAtMost({ text: "short", passes: 4 }, 200_000)).toBe(800_000);
  expect(inputAtMost({ text: "short", passes: 4 }, undefined)).toBeUndefined();
});

test("each of several texts may fill a window of its own", () => {
  const text = "x".repeat(30_000);
  expect(inputAtMost({ text, passes: 1 }, 8_000)).toBe(8_000);
  expect(inputAtMost({ text, passes: 1, texts: 3 }, 8_000)).toBe(24_000);
  expect(inputAtMost({ text, passes: 1, texts: 9 }, 8_000)).toBe(31_000);
});

test("a longer text has no lower bound", () => {
  const unit = fc.constantFrom(
    "a",
    "\n",
    "é",
    "e\u0301",
    "\u1100\u1161",
    "각",
    "\uFDFA",
    "\uFB03",
    "🌍",
  );
  fc.assert(
    fc.property(fc.string({ unit }), fc.string({ unit }), (a, b) => {
      const alone = tokensAtMost(a);
      expect(tokensAtMost(`${a} ${b}`)).toBeGreaterThanOrEqual(alone);
      expect(alone).toBeGreaterThanOrEqual(Buffer.byteLength(a));
    }),
  );
});
