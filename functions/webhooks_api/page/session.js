import { ApiError, fetchJson } from './http.js';

// sessionStorage, not localStorage: tokens survive a reload, and end with the tab.
const SESSION_KEY = 'simple-backup.session';
const PENDING_KEY = 'simple-backup.sign-in';
const RENEW_BEFORE_MS = 30_000;

const pageUrl = () => `${location.origin}/`;

let settings;
let session = stored(SESSION_KEY);
let renewal = null;

/**
 * @typedef {{token: string, refreshToken: ?string, idToken: ?string, expiresAt: number, account: string, who: string}} Session
 */

/** @returns {?Session} the present session, or null */
export const currentSession = () => session;

/** Returns whether an operator is signed in, who may see every account. */
export const isOperator = () => session?.account === '*';

/** Reads /config.json once, and again only after a failure. */
export function readSettings() {
  settings ??= fetchJson('/config.json').catch((error) => {
    settings = undefined;
    throw error;
  });
  return settings;
}

/** Leaves the page for the identity provider (Authorization Code with PKCE). */
export async function signIn() {
  const { signIn: provider } = await readSettings();
  if (!crypto.subtle) throw new ApiError('Signing in needs a secure connection: open this page by https.');
  const verifier = randomText();
  const state = randomText();
  const challenge = base64url(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier)));
  sessionStorage.setItem(PENDING_KEY, JSON.stringify({ verifier, state, hash: location.hash }));
  location.assign(withQuery(provider.authorizationEndpoint, {
    response_type: 'code', client_id: provider.clientId, redirect_uri: pageUrl(), scope: provider.scope, state,
    code_challenge: challenge, code_challenge_method: 'S256', audience: provider.audience,
  }));
}

/** Completes a sign-in if the page's address is an answer of the identity provider. */
export async function completeSignIn() {
  const answer = new URLSearchParams(location.search);
  if (!answer.has('code') && !answer.has('error')) return;
  const pending = stored(PENDING_KEY);
  sessionStorage.removeItem(PENDING_KEY);
  history.replaceState(null, '', location.pathname + (pending?.hash || location.hash));
  const isOurs = pending && pending.state === answer.get('state');
  if (!isOurs && session) return; // An old answer, such as after Back: the session stays.
  if (!isOurs) {
    throw new ApiError('The sign-in was not started from this tab, so it was not accepted. Sign in again.');
  }
  if (answer.has('error')) throw new ApiError(answer.get('error_description') ?? answer.get('error'));
  await exchange({
    grant_type: 'authorization_code', code: answer.get('code'), redirect_uri: pageUrl(), code_verifier: pending.verifier,
  });
}

/**
 * Returns the token for the next request, renewed if it is about to expire.
 * @returns {Promise<string>}
 */
export async function bearer() {
  if (session && Date.now() > session.expiresAt - RENEW_BEFORE_MS && session.refreshToken) await renew();
  if (!session) throw new ApiError('Your session has ended.', { status: 401 });
  return session.token;
}

/** Renews the session. Returns false if the identity provider asks for a new sign-in. */
export function renew() {
  renewal ??= renewOnce().finally(() => { renewal = null; });
  return renewal;
}

async function renewOnce() {
  if (!session?.refreshToken) return false;
  try {
    await exchange({ grant_type: 'refresh_token', refresh_token: session.refreshToken });
    return true;
  } catch (error) {
    if (error.status >= 400 && error.status < 500) return false;
    throw error;
  }
}

/** Removes the tokens. */
export function forgetSession() {
  session = null;
  sessionStorage.removeItem(SESSION_KEY);
}

/**
 * Signs out here and at the identity provider.
 * @returns {Promise<boolean>} whether the browser leaves the page
 */
export async function signOut() {
  const idToken = session?.idToken;
  forgetSession();
  const { signIn: provider } = await readSettings();
  if (!provider.endSessionEndpoint) return false;
  location.assign(withQuery(provider.endSessionEndpoint, {
    client_id: provider.clientId, logout_uri: pageUrl(), post_logout_redirect_uri: pageUrl(), id_token_hint: idToken,
  }));
  return true;
}

async function exchange(grant) {
  const before = session;
  const { signIn: provider } = await readSettings();
  const tokens = await fetchJson(provider.tokenEndpoint, {
    method: 'POST', body: new URLSearchParams({ ...grant, client_id: provider.clientId }),
  });
  const token = tokens?.[provider.token];
  if (!token) throw new ApiError('The identity provider has sent no token that this page can use.');
  // A sign-out in the meantime stays.
  if (session !== before) throw new ApiError('Your session has ended.', { status: 401 });
  const claims = { ...claimsOf(tokens.id_token), ...claimsOf(token) };
  session = {
    token,
    refreshToken: tokens.refresh_token ?? session?.refreshToken ?? null,
    idToken: tokens.id_token ?? session?.idToken ?? null,
    expiresAt: Date.now() + (tokens.expires_in ?? 3600) * 1000,
    account: String(claimsOf(token)[provider.accountClaim] ?? ''),
    who: String(claims.email ?? claims.username ?? claims.sub ?? ''),
  };
  sessionStorage.setItem(SESSION_KEY, JSON.stringify(session));
}

function claimsOf(token) {
  try {
    const bytes = Uint8Array.from(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
}

function stored(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key));
  } catch {
    return null;
  }
}

const randomText = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

function base64url(bytes) {
  return btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function withQuery(endpoint, query) {
  const url = new URL(endpoint);
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  return url.href;
}
