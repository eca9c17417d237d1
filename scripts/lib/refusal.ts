/** Something the user can put right. Commands print its sentence, without a stack, and end with status 1. */
export class Refusal extends Error {
  override name = "Refusal";
}

/** Runs a command's body; what it refuses is said in one sentence. */
export async function command(body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } catch (error) {
    if (error instanceof Refusal) console.error(`\n${error.message}`);
    else console.error(error);
    process.exit(1);
  }
}
