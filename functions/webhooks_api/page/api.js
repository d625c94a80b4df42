import { ApiError, fetchJson } from './http.js';
import { bearer, forgetSession, renew } from './session.js';

export { ApiError };

// A test event waits up to 10 s for the endpoint; the rest is for the network.
const TEST_TIMEOUT_MS = 20_000;

let tellSessionEnded = () => {};

/** Registers a function that is called when the service no longer accepts the session. */
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

/** Returns the event types of an account with their targets, the formats, and the most targets of an event type. */
export const readWebhooks = (account, signal) => request(path(account), { signal });

/** Returns an event type with its targets, as they are now. */
export const readWebhook = (account, event, signal) => request(path(account, event), { signal });

/** Replaces the targets of an event type. `etag`: the version that the change was made to. */
export const saveTargets = (account, event, etag, targetUris) => request(path(account, event, 'configuration'), {
  method: 'PUT', headers: { 'if-match': etag, prefer: 'return=representation' }, body: { targetUris },
});

/** Adds a target of several event types. `wanted`: its settings with `targetUri` and `events`. */
export const addTarget = (account, wanted) => request(path(account, 'targets'), { method: 'POST', body: wanted });

/** Returns a test event in a format. */
export const readPreview = (account, event, format) => request(path(account, event, 'preview') + query({ format }));

/** Posts a test event to a target and returns the result. */
export const sendTest = (account, event, targetId) => request(
  path(account, event, 'configuration', 'targetUris', targetId, 'test'), { method: 'POST', timeoutMs: TEST_TIMEOUT_MS });

/** Makes a new signing secret. The older ones sign too for the given hours. */
export const rotateSecret = (account, event, targetId, overlapHours) => request(
  path(account, event, 'configuration', 'targetUris', targetId, 'secret'), { method: 'POST', body: { overlapHours } });

/** Returns a page of deliveries, the newest event first. `filter`: event, state, since, until, cursor. */
export const readDeliveries = (account, filter, signal) => request(path(account, 'deliveries') + query(filter), { signal });

/** Returns a delivery as it is now. */
export const readDelivery = (account, deliveryId, signal) => request(path(account, 'deliveries', deliveryId), { signal });

/** Requests a replay of a delivery. The delivery itself shows the result. */
export const sendAgain = (account, deliveryId) => request(path(account, 'deliveries', deliveryId, 'replay'), { method: 'POST' });

/** Returns a page of server policies. `filter`: server (a part of its name), cursor. */
export const readServerPolicies = (account, filter, signal) => request(path(account, 'serverPolicies') + query(filter), { signal });

/** Returns the account's ping keys without their secrets, and the most it may have. */
export const readPingKeys = (account, signal) => request(path(account, 'pingKeys'), { signal });

/** Makes a ping key. `wanted`: serverId, accountPolicyName, backupSchedule and timezone or backupIntervalHours. */
export const makePingKey = (account, wanted) => request(path(account, 'pingKeys'), { method: 'POST', body: wanted });

/** Revokes a ping key. */
export const revokePingKey = (account, pingKeyId) => request(path(account, 'pingKeys', pingKeyId), { method: 'DELETE' });

/** Returns the latest backup outputs of a server policy. */
export const readOutputs = (account, serverPolicyId, signal) => request(path(account, 'serverPolicies', serverPolicyId, 'outputs'), { signal });

/** Returns the counts of the last 30 days, over all servers of the account. */
export const readDailyResults = (account, signal) => request(path(account, 'dailyResults'), { signal });

/** Returns the e-mail recipients, and the time of the reports. */
export const readRecipients = (account, signal) => request(path(account, 'reportRecipients'), { signal });

/** Replaces them. `etag`: the version that the change was made to. `wanted`: recipients, hour, timezone. */
export const saveRecipients = (account, etag, wanted) => request(path(account, 'reportRecipients'), {
  method: 'PUT', headers: { 'if-match': etag, prefer: 'return=representation' }, body: wanted,
});
