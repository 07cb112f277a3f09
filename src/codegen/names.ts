const SNAKE_CASE = /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/;

/** Refuses a name in another style: as camelCase it could be another's, or not a name at all. */
export function checkName(name: string): string {
  if (!SNAKE_CASE.test(name)) throw new Error(`"${name}" is not in lower snake_case`);
  return name;
}

/** `wallet_id` → `walletId` */
export function camelCase(name: string): string {
  return checkName(name).replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** `wallet_balance` → `WalletBalance` */
export function pascalCase(name: string): string {
  const camel = camelCase(name);
  return camel.charAt(0).toUpperCase() + camel.slice(1);
}

/** A name as SQL writes it, keyword or not. */
export function quote(name: string): string {
  return `"${checkName(name)}"`;
}

const RESERVED = new Set(
  (
    "arguments await break case catch class const continue debugger default delete do else enum " +
    "eval export extends false finally for function if implements import in instanceof interface " +
    "let new null package private protected public return static super switch this throw true " +
    "try typeof undefined var void while with yield"
  ).split(" "),
);

/** A name that may be declared: `delete` → `delete_`. */
export function declarable(name: string): string {
  return RESERVED.has(name) ? `${name}_` : name;
}

/** Gives each name once; a second claim is an error that tells both owners. */
export function nameSpace(taken: readonly string[] = []): (name: string, owner: string) => string {
  const owners = new Map(taken.map((name) => [name, "the module's own"]));
  return (name, owner) => {
    const first = owners.get(name);
    if (first) throw new Error(`${owner} and ${first} would both be called ${name}`);
    owners.set(name, owner);
    return name;
  };
}
