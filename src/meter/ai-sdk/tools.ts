import { isObject, list } from "../wire/read.ts";
import { type Json, type Kinds, NotSent } from "../wire/types.ts";

/** Tools of providers that the caller runs. */
const OWN =
  /^(?:anthropic\.(?:bash|text_editor|memory|computer)_\d{8}|openai\.(?:custom|local_shell|apply_patch))$/;
/** Tools that the provider runs, with the kind of their fee. */
const HOSTED: readonly (readonly [RegExp, string | undefined])[] = [
  [/^anthropic\.web_search_\d{8}$/, "web_searches"],
  // costs tokens only
  [/^anthropic\.web_fetch_\d{8}$/, undefined],
];

/** The fees of tools, and how often the model can read its input again because of them. */
export function readTools(tools: unknown): { readonly fees: Kinds; readonly calls: number } {
  const fees: Record<string, number> = {};
  let calls = 0;
  for (const tool of list(tools)) {
    const { type, id, args }: Json = isObject(tool) ? tool : {};
    if (type === "function" || OWN.test(String(id))) continue;
    const hosted = HOSTED.find(([known]) => known.test(String(id)));
    if (!hosted)
      throw new NotSent("unsupported_tool", `the tool ${String(id ?? type)} has no price`);
    const most = isObject(args) ? args.maxUses : undefined;
    if (typeof most !== "number" || !Number.isInteger(most) || most < 1) {
      throw new NotSent("unsupported_tool", `the tool ${String(id)} needs maxUses as a bound`);
    }
    calls += most;
    const [, kind] = hosted;
    if (kind !== undefined) fees[kind] = (fees[kind] ?? 0) + most;
  }
  return { fees, calls };
}
