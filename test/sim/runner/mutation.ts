import { registerHooks } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

/** A mistake, as an edit of one source file: `from` must be there exactly once. Paths are from the root of the repository. */
export type Mutation = { file: string; from: string; to: string };

const ROOT = new URL("../../../", import.meta.url);

/** The source with the mistake in it. Throws where `from` is not there, or more than once: then the mistake has to be looked at again. */
export function mutate(source: string, { file, from, to }: Mutation): string {
  const parts = source.split(from);
  if (parts.length !== 2) throw new Error(`A planted mistake looks for this in ${file}, and finds it ${parts.length - 1} times: ${from}`);
  return parts.join(to);
}

/**
 * Has this thread load its modules with the mistakes in them; nothing on disk changes. Call it before anything imports them.
 * Returns what throws unless every mistake was loaded.
 */
export function plant(mutations: readonly Mutation[]): () => void {
  const left = new Set(mutations);
  registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      for (const mutation of mutations) {
        if (url !== new URL(mutation.file, ROOT).href) continue;
        loaded.source = mutate(String(loaded.source), mutation);
        left.delete(mutation);
      }
      return loaded;
    },
  });
  return () => {
    const missed = [...left].map(({ file }) => fileURLToPath(new URL(file, ROOT)));
    if (missed.length > 0) throw new Error(`Nothing imports ${missed.join(", ")}: what is planted there does nothing.`);
  };
}

/** Where a file of the repository is. */
export function sourceOf(file: string): URL {
  return pathToFileURL(fileURLToPath(new URL(file, ROOT)));
}
