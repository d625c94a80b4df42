/**
 * What the page knows of formats. `hosts`: the destination's own, by which a URL is known; `key`: what it needs beside the URL,
 * which is stored and never shown again.
 * @type {Object<string, {label: string, hosts?: RegExp, key?: {label: string, hint: string}}>}
 */
const FORMATS = {
  text: { label: 'Text' },
  detailed: { label: 'Detailed' },
  slack: { label: 'Slack', hosts: /^hooks\.slack\.com$/ },
  teams: { label: 'Microsoft Teams', hosts: /\.(logic\.azure\.com|api\.powerplatform\.com)$/ },
  discord: { label: 'Discord', hosts: /^((ptb|canary)\.)?discord(app)?\.com$/ },
  'google-chat': { label: 'Google Chat', hosts: /^chat\.googleapis\.com$/ },
  pagerduty: {
    label: 'PagerDuty',
    hosts: /^events\.(eu\.)?pagerduty\.com$/,
    key: { label: 'Routing key', hint: '32 letters and digits, of an integration "Events API v2". It is stored, and never shown again.' },
  },
  ntfy: {
    label: 'ntfy',
    hosts: /^ntfy\.sh$/,
    key: { label: 'Topic', hint: 'The URL is the server\u2019s alone, such as https://ntfy.sh/. The topic is stored, and never shown again.' },
  },
  cloudevents: { label: 'CloudEvents' },
};

/** The name that people know a format by. */
export const labelOf = (format) => FORMATS[format]?.label ?? format;

/** The key that a format needs, in words; undefined where it needs none. */
export const keyOf = (format) => FORMATS[format]?.key;

/** The format of the destination that a URL leads to; undefined where the URL does not say. */
export function formatFor(url) {
  if (!URL.canParse(url)) return undefined;
  const { hostname } = new URL(url);
  return Object.keys(FORMATS).find((format) => FORMATS[format].hosts?.test(hostname));
}
