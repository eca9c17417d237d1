// `npm run bench -- NAME`: a benchmark against a named peer in the same run; without a name, a list of them.
import { runNamed } from "./lib/named.ts";
import { command } from "./lib/refusal.ts";

await command(() => runNamed("bench", "npm run bench -- NAME [ARGUMENTS]. Each names its peer and prints the ratio of one run."));
