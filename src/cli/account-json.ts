import { printAll, toJson } from "../terminal/index.ts";

/** Prints items as a JSON array, as `printJson` would if they were all there at once. */
export async function printJsonArray(pages: AsyncIterable<readonly unknown[]>): Promise<void> {
  await printAll(piecesOf(pages));
}

async function* piecesOf(pages: AsyncIterable<readonly unknown[]>): AsyncGenerator<string> {
  let begun = false;
  for await (const page of pages) {
    // Without the brackets around it.
    const items = toJson(page).slice(2, -2);
    yield `${begun ? ",\n" : "[\n"}${items}`;
    begun = true;
  }
  yield begun ? "\n]\n" : "[]\n";
}
