import { stateMark } from './dom.js';
import { shortTime } from './format.js';

/** Returns the mark of a stored target's health. */
export function healthMark({ health, enabled }) {
  const since = health.failingSince ? ` since ${shortTime(health.failingSince)}` : '';
  const last = health.lastReason ?? (health.lastStatus && `status ${health.lastStatus}`);
  if (health.state === 'switchedOff') return stateMark('off', `Switched off: ${health.switchedOffReason ?? last ?? 'it kept failing'}`);
  if (!enabled) return stateMark('off', 'Off: nothing is sent');
  if (health.state === 'failing') {
    return stateMark('bad', `Failing: ${health.consecutiveFailures} in a row${since}${last ? `, last: ${last}` : ''}`);
  }
  return health.state === 'slow' ? stateMark('slow', 'Slow') : stateMark('good', 'Good');
}

/** Returns advice about a target that the service has switched off, or null if there is none. */
export function wayBack({ health }) {
  if (health.state !== 'switchedOff') return null;
  const when = health.switchedOffAt ? ` on ${shortTime(health.switchedOffAt)}` : '';
  return `We switched this target off${when}. To bring it back: mend the endpoint, tick On, then Save.`;
}
