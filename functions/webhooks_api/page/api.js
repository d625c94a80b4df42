import { ApiError, fetchJson } from './http.js';
import { bearer, forgetSession, renew } from './session.js';

export { ApiError };

// A test waits up to 10 s for the endpoint; the rest is for the way there and back.
const TEST_TIMEOUT_MS = 20_000;

let tellSessionEnded = () => {};

/** Registers what is to happen when the service no longer accepts the session. */
export function onSessionEnded(listener) {
  tellSessionEnded = listener;
}

async function request(path, { body, headers, ...options } = {}) {
  const attempt = async () => fetchJson(path, {
    ...options,
    headers: {
      authorization: `Bearer ${await bearer()}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  try {
    return await attempt().catch(async (error) => {
      if (error.status === 401 && await renew()) return attempt();
      throw error;
    });
  } catch (error) {
    if (error.status === 401) {
      forgetSession();
      tellSessionEnded();
    }
    throw error;
  }
}

const path = (account, ...parts) => ['/v2/webhooks', ...[account, ...parts].map(encodeURIComponent)].join('/');

function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value);
  return given.length ? `?${new URLSearchParams(given)}` : '';
}

/** The four events of an account with their targets, the formats offered and the most targets an event may have. */
export const readWebhooks = (account, signal) => request(path(account), { signal });

/** One of the events with its targets, as they are now. */
export const readWebhook = (account, event, signal) => request(path(account, event), { signal });

/** Replaces the targets of an event; `etag` says which version the change was made to. */
export const saveTargets = (account, event, etag, targetUris) => request(path(account, event, 'configuration'), {
  method: 'PUT', headers: { 'if-match': etag, prefer: 'return=representation' }, body: { recursive: false, targetUris },
});

/** What a format makes of a sample of the event. */
export const readPreview = (account, event, format) => request(path(account, event, 'preview') + query({ format }));

/** Posts a sample to a target and tells how it was answered. */
export const sendTest = (account, event, targetId) => request(
  path(account, event, 'configuration', 'targetUris', targetId, 'test'), { method: 'POST', timeoutMs: TEST_TIMEOUT_MS });

/** Makes a new signing secret; the older ones sign on for the hours given. */
export const rotateSecret = (account, event, targetId, overlapHours) => request(
  path(account, event, 'configuration', 'targetUris', targetId, 'secret'), { method: 'POST', body: { overlapHours } });

/** Deliveries, newest event first. `filter`: event, state, since, until, cursor. */
export const readDeliveries = (account, filter, signal) => request(path(account, 'deliveries') + query(filter), { signal });

/** One delivery as it stands now. */
export const readDelivery = (account, deliveryId, signal) => request(path(account, 'deliveries', deliveryId), { signal });

/** Asks for a delivery to be sent again; the outcome is to be read from the delivery. */
export const sendAgain = (account, deliveryId) => request(path(account, 'deliveries', deliveryId, 'redelivery'), { method: 'POST' });

/** Server policies. `filter`: serverId (prefix), cursor. */
export const readServerPolicies = (account, filter, signal) => request(path(account, 'serverPolicies') + query(filter), { signal });

/** The account's ping keys, without the keys, and the most it may have. */
export const readPingKeys = (account, signal) => request(path(account, 'pingKeys'), { signal });

/** Makes a ping key. `wanted`: serverId, accountPolicyName, backupSchedule and timezone or backupIntervalHours. */
export const makePingKey = (account, wanted) => request(path(account, 'pingKeys'), { method: 'POST', body: wanted });

/** Ends a ping key. */
export const revokePingKey = (account, pingKeyId) => request(path(account, 'pingKeys', pingKeyId), { method: 'DELETE' });

/** What the latest backups of a server policy have said of themselves. */
export const readLogs = (account, serverPolicyId, signal) => request(path(account, 'serverPolicies', serverPolicyId, 'logs'), { signal });

/** The results of the last 30 days, over all servers of the account. */
export const readDailyResults = (account, signal) => request(path(account, 'dailyResults'), { signal });

/** Who gets e-mail, and when the reports go out. */
export const readRecipients = (account, signal) => request(path(account, 'reportRecipients'), { signal });

/** Replaces them; `etag` says which version the change was made to. `wanted`: recipients, hour, timezone. */
export const saveRecipients = (account, etag, wanted) => request(path(account, 'reportRecipients'), {
  method: 'PUT', headers: { 'if-match': etag, prefer: 'return=representation' }, body: wanted,
});
