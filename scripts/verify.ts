// `npm run verify -- NAME`: a check against a foreign client or oracle; without a name, a list of them.
import { runNamed } from "./lib/named.ts";
import { command } from "./lib/refusal.ts";

await command(() =>
  runNamed(
    "scripts/verify",
    "npm run verify -- NAME [ARGUMENTS]. Each installs what it needs by the ordinary package clients, and says so when it cannot.",
  ),
);
