export const MIN_ADMIN_KEY = 24;

const PLACEHOLDERS = /change.?(me|this)|replace.?(me|this)|place.?holder|your.?(admin|secret|api|own)|insert.(here|key)|example/i;
/** What is left of a key made of nothing but such words, digits and punctuation. */
const WORDS = /admin|secret|password|passwd|skerry|key|token|test|dev|default|local|todo|none|null|undefined|my|the|[^a-z]/gi;

/**
 * Why a deployment must not run with this admin key: one sentence that says what to do, or null if the key is fit.
 * The Worker calls it on every request, and scripts call it before they start or deploy anything.
 */
export function checkAdminKey(key: string | undefined | null): string | null {
  const remedy = 'Set SKERRY_ADMIN_KEY to a random value, for example the output of "openssl rand -base64 32".';
  if (key === undefined || key === null || key === "") return `SKERRY_ADMIN_KEY is not set. ${remedy}`;
  // Spaces and controls cannot travel in an Authorization header unharmed.
  if (!/^[\x21-\x7e]+$/.test(key)) return `SKERRY_ADMIN_KEY has a space or a character that is not printable ASCII. ${remedy}`;
  if (key.length < MIN_ADMIN_KEY) return `SKERRY_ADMIN_KEY is shorter than ${MIN_ADMIN_KEY} characters. ${remedy}`;
  if (/^[<{[$].*[>}\]]$/.test(key) || PLACEHOLDERS.test(key) || key.replace(WORDS, "").length < 4)
    return `SKERRY_ADMIN_KEY looks like a placeholder. ${remedy}`;
  if (new Set(key).size < 8) return `SKERRY_ADMIN_KEY repeats too few different characters. ${remedy}`;
  // A token has exactly two dots between base64url parts; a key that looked like one could not be told from it.
  if (looksLikeToken(key)) return `SKERRY_ADMIN_KEY has the form of a signed token. ${remedy}`;
  return null;
}

/** Whether a credential has the form of a signed token (three base64url parts) and not of an admin key. */
export function looksLikeToken(credential: string): boolean {
  return /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(credential);
}
