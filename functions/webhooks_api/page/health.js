import { stateMark } from './dom.js';
import { shortTime } from './format.js';

/** How a stored target has answered of late. */
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

/** What the reader can do about a target that we have switched off; null where there is nothing. */
export function wayBack({ health }) {
  if (health.state !== 'switchedOff') return null;
  const when = health.switchedOffAt ? ` on ${shortTime(health.switchedOffAt)}` : '';
  return `We switched this target off${when}. To bring it back: mend the endpoint, tick On, then Save.`;
}
