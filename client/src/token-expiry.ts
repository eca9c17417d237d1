import { fromBase64Url } from "../../core/wire/base64url.ts";

/** When a token ends, Unix milliseconds, by its claim `exp` (RFC 7519); null for the admin key and what is no such token. */
export function expiryOf(token: string | null): number | null {
  const [, claims = ""] = token?.split(".") ?? [];
  try {
    const { exp } = JSON.parse(new TextDecoder().decode(fromBase64Url(claims) ?? undefined));
    return typeof exp === "number" ? exp * 1000 : null;
  } catch {
    return null;
  }
}
