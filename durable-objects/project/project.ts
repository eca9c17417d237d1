import { DurableObject } from "cloudflare:workers";
import { exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from "jose";
import { actorOf, type Claims, newClaims, refreshedClaims, type TokenRequest } from "../../core/auth/claims.ts";
import { currentKey, MAX_KEYS, pruneKeys, verifiesUntil } from "../../core/auth/keyring.ts";
import { hourOf, KEPT_HOURS, type UsageBucket } from "../../core/usage/usage.ts";
import { type Answer, answer } from "../../core/wire/answer.ts";
import { SkerryError } from "../../core/wire/errors.ts";
import type { Actor } from "../../core/wire/grant.ts";
import { parseObjectName } from "../../core/wire/names.ts";
import { ProjectStore, type SocketClass, type StoredKey, type TokenRecord } from "./store.ts";
import { ALGORITHM, verifyToken } from "./verify.ts";

/** A token as it is handed out, once. `expiresAt` and `refreshableUntil` in Unix milliseconds. */
export type MintedToken = { token: string; id: string; expiresAt: number; refreshableUntil: number };
/** A public key (RFC 7517) of the curve Ed25519. */
export type PublicKey = { kty: string; crv: string; x: string; kid: string; alg: string; use: string };
export type KeyInfo = { id: string; createdAt: number; retiredAt: number | null; verifiesUntil: number | null; publicJwk: PublicKey };
/** What a Worker isolate needs to verify tokens by itself: public keys, and the revocations after the `seq` it had. */
export type Verification = { keys: { id: string; publicJwk: JWK }[]; revoked: string[]; seq: number };

/** An object that holds sockets of a token: its class's binding, and its full name. */
export type Holder = { class: SocketClass; object: string };

/** What every class that holds sockets of tokens implements: close, within a second, the sockets of that token. */
export interface Revocable {
  revoked(tokenId: string): Promise<void>;
}

/** A socket may be on its way while its token is revoked, so each object is told twice, this far apart (ms). */
const SECOND_ROUND_MS = 4_000;
const RETRY_MS = 1_000;
/** An hour and a half of them: an object that cannot be reached so long has no socket left that could hear anything. */
const MAX_TRIES = 100;
/** Objects told at once: the platform allows six connections at a time, and one alarm must not run for minutes. */
const NOTICES_AT_ONCE = 200;

/**
 * One project's keys, tokens and account. It signs; Workers verify with public keys they cache for at most five
 * seconds, which is why a revocation holds everywhere within ten.
 */
export class Project extends DurableObject<Env> {
  readonly #store: ProjectStore;
  #lastPrune = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = new ProjectStore(ctx.storage.sql);
  }

  /** Makes a token. Throws `bad_request`. */
  async mint(request: TokenRequest): Promise<Answer<MintedToken>> {
    const now = Date.now();
    const claims = newClaims(this.#project(), request, randomId(), now);
    const key = await this.#signingKey();
    return this.#sign(claims, key, now);
  }

  /** A token's successor: same id and grants, a new end. Throws what verifying throws, and `token_expired` at its longest lifetime. */
  async refresh(token: string): Promise<Answer<MintedToken>> {
    const claims = await this.#verify(token);
    const key = await this.#signingKey();
    // Signing awaited: the token may have been revoked meanwhile.
    this.#checkRevoked(claims.jti);
    const now = Date.now();
    return this.#sign(refreshedClaims(claims, now), key, now);
  }

  /**
   * Who a token is, judged here and now. Objects call it when a socket sends a new token in-band, naming themselves as
   * the `holder`, so that revoking the new token closes the socket too.
   */
  async introspect(token: string, holder?: Holder): Promise<Answer<Actor>> {
    const claims = await this.#verify(token);
    const rows = holder === undefined ? 0 : this.#attach(claims.jti, holder);
    return answer(actorOf(claims), null, "durable", rows);
  }

  async tokens(after: string | null, limit: number): Promise<Answer<TokenRecord[]>> {
    return answer(this.#store.exists() ? this.#store.tokens(after ?? "", limit, Date.now()) : [], null, "durable");
  }

  /** Ends a token everywhere. `known` is false if the project has no such token, or it has ended by itself. */
  async revoke(tokenId: string): Promise<Answer<{ known: boolean }>> {
    const token = this.#store.exists() ? this.#store.token(tokenId) : null;
    if (token === null || token.expiresAt <= Date.now()) return answer({ known: false }, null, "durable");
    if (token.revokedAt === null) {
      this.#revoke([token]);
      this.#announce();
    }
    return answer({ known: true }, null, "durable");
  }

  /** Makes a new signing key. The old ones verify until their tokens end, or with `endOld` stop now with all their tokens. */
  async rotate(endOld = false): Promise<Answer<KeyInfo>> {
    this.#store.open();
    const made = await makeKey(Date.now());
    const now = Date.now();
    this.ctx.storage.transactionSync(() => {
      const { live, dead } = pruneKeys(this.#store.keys(), now);
      for (const key of dead) this.#store.deleteKey(key.id);
      if (live.length >= MAX_KEYS && !endOld)
        throw new SkerryError(
          "conflict",
          `${MAX_KEYS} keys still verify tokens. Wait until the oldest ends, or rotate with "endOld": true.`,
        );
      const signing = currentKey(live);
      if (signing) this.#store.retireKey(signing.id, now);
      this.#store.addKey(made);
      if (endOld) {
        const ids = live.map((key) => key.id);
        this.#revoke(this.#store.liveTokensOf(ids, now));
        for (const id of ids) this.#store.deleteKey(id);
      }
    });
    if (endOld) this.#announce();
    return answer(infoOf(made), null, "durable");
  }

  async keys(): Promise<Answer<KeyInfo[]>> {
    return answer(this.#liveKeys().map(infoOf), null, "durable");
  }

  /** For the Workers' caches. Never writes: anyone can name a project that does not exist. */
  async verification(since: number): Promise<Answer<Verification>> {
    if (!this.#store.exists()) return answer({ keys: [], revoked: [], seq: since }, null, "durable");
    const { seq, ids } = this.#store.revokedSince(since, Date.now());
    const keys = this.#liveKeys().map(({ id, publicJwk }) => ({ id, publicJwk }));
    return answer({ keys, revoked: ids, seq }, null, "durable");
  }

  /**
   * Registers that an object holds a socket of a token, for as long as the token could be prolonged.
   * Throws `token_revoked`, and `token_invalid` for a token that is not on record: it could not be revoked.
   */
  async attach(held: Holder & { tokenId: string }): Promise<Answer<null>> {
    return answer(null, null, "durable", this.#attach(held.tokenId, held));
  }

  async addUsage(buckets: UsageBucket[]): Promise<Answer<null>> {
    this.#store.open();
    this.ctx.storage.transactionSync(() => this.#store.addUsage(buckets));
    this.#prune();
    return answer(null, null, "durable", buckets.length);
  }

  /** The account between two hours (Unix hours), both inclusive. */
  async usage(from: number, to: number): Promise<Answer<UsageBucket[]>> {
    return answer(this.#store.exists() ? this.#store.usage(from, to) : [], null, "durable");
  }

  override async alarm(): Promise<void> {
    if (this.#store.exists()) await this.#notify();
  }

  /** Tells objects of revoked tokens, those that are due; what fails is told again later. */
  async #notify(): Promise<void> {
    const notices = this.#store.dueNotices(Date.now(), NOTICES_AT_ONCE);
    await Promise.all(
      notices.map(async (notice) => {
        try {
          const namespace = this.env[notice.class] as unknown as DurableObjectNamespace;
          await (namespace.getByName(notice.object) as unknown as Revocable).revoked(notice.tokenId);
          if (notice.round > 0) this.#store.deleteNotice(notice);
          else this.#store.putNotice({ ...notice, round: 1, tries: 0 }, Date.now() + SECOND_ROUND_MS);
        } catch {
          const tries = notice.tries + 1;
          if (tries > MAX_TRIES) {
            console.error(JSON.stringify({ level: "error", message: "an object never heard of a revocation", ...notice }));
            this.#store.deleteNotice(notice);
            return;
          }
          this.#store.putNotice({ ...notice, tries }, Date.now() + Math.min(RETRY_MS * 2 ** Math.min(tries - 1, 6), 60_000));
        }
      }),
    );
    const due = this.#store.nextNotice();
    if (due !== null) await this.ctx.storage.setAlarm(Math.max(due, Date.now()));
  }

  /** An alarm may be a minute late, so the rounds run at once; the alarm is for what fails, and for a crash in between. */
  #announce(): void {
    const rounds = async () => {
      await this.#notify();
      await scheduler.wait(SECOND_ROUND_MS);
      await this.#notify();
    };
    void this.ctx.storage.setAlarm(Date.now() + SECOND_ROUND_MS);
    this.ctx.waitUntil(rounds());
  }

  /** Writes the revocations; {@link #announce} follows once they are committed. */
  #revoke(tokens: TokenRecord[]): void {
    const now = Date.now();
    this.ctx.storage.transactionSync(() => {
      // A copy made by an earlier refresh ends no later than the record says, so its end bounds the list.
      for (const token of tokens) this.#store.revoke(token.id, token.maxExpiresAt, now);
    });
  }

  #attach(tokenId: string, holder: Holder): number {
    const token = this.#store.exists() ? this.#store.token(tokenId) : null;
    if (token === null) throw new SkerryError("token_invalid", "The token is not on record; ask for a new one.");
    this.#checkRevoked(tokenId);
    return this.#store.attach(tokenId, holder.class, holder.object, token.maxExpiresAt);
  }

  async #verify(token: string): Promise<Claims> {
    const keys = this.#liveKeys();
    const find = async (kid: string) => {
      const key = keys.find(({ id }) => id === kid);
      return key ? ((await importJWK(key.publicJwk, ALGORITHM)) as CryptoKey) : null;
    };
    const claims = await verifyToken(token, this.#project(), Date.now(), find);
    this.#checkRevoked(claims.jti);
    return claims;
  }

  #checkRevoked(tokenId: string): void {
    // A token that is not on record was pruned or never made here; its signature and expiry have been judged already.
    if (this.#store.exists() && this.#store.token(tokenId)?.revokedAt != null)
      throw new SkerryError("token_revoked", "The token was revoked.");
  }

  async #sign(claims: Claims, key: StoredKey, now: number): Promise<Answer<MintedToken>> {
    const { aud, sub, jti, iat, exp, ...rest } = claims;
    const token = await new SignJWT({ ...rest, aud, sub, jti, iat, exp })
      .setProtectedHeader({ alg: ALGORITHM, kid: key.id, typ: "JWT" })
      .sign((await importJWK(key.privateJwk, ALGORITHM)) as CryptoKey);
    const expiresAt = exp * 1000;
    const before = this.#store.token(jti);
    if (before?.revokedAt != null) throw new SkerryError("token_revoked", "The token was revoked.");
    const record = {
      id: jti,
      keyId: key.id,
      subject: sub,
      grants: claims.grants,
      expiresAt,
      maxExpiresAt: claims.mxl * 1000,
      revokedAt: null,
    };
    this.#store.putToken({ ...record, createdAt: before?.createdAt ?? now });
    this.#prune();
    return answer({ token, id: jti, expiresAt, refreshableUntil: claims.mxl * 1000 }, null, "durable", 1);
  }

  async #signingKey(): Promise<StoredKey> {
    this.#store.open();
    const known = currentKey(this.#store.keys());
    if (known) return known;
    const made = await makeKey(Date.now());
    // Another call may have made one while this one waited: the first wins.
    const first = currentKey(this.#store.keys());
    if (first) return first;
    this.#store.addKey(made);
    return made;
  }

  #liveKeys(): StoredKey[] {
    return this.#store.exists() ? pruneKeys(this.#store.keys(), Date.now()).live : [];
  }

  #prune(): void {
    const now = Date.now();
    if (now - this.#lastPrune < 60_000) return;
    this.#lastPrune = now;
    this.#store.prune(now, hourOf(now) - KEPT_HOURS);
  }

  #project(): string {
    return parseObjectName(this.ctx.id.name ?? "").scope.project;
  }
}

async function makeKey(now: number): Promise<StoredKey> {
  const { privateKey, publicKey } = await generateKeyPair(ALGORITHM, { extractable: true });
  return {
    id: randomId(),
    createdAt: now,
    retiredAt: null,
    privateJwk: await exportJWK(privateKey),
    publicJwk: await exportJWK(publicKey),
  };
}

function infoOf(key: StoredKey): KeyInfo {
  const { id, createdAt, retiredAt, publicJwk } = key;
  const { kty = "", crv = "", x = "" } = publicJwk;
  return { id, createdAt, retiredAt, verifiesUntil: verifiesUntil(key), publicJwk: { kty, crv, x, kid: id, alg: ALGORITHM, use: "sig" } };
}

/** 128 random bits, as hexadecimal. */
function randomId(): string {
  return crypto.randomUUID().replaceAll("-", "");
}
