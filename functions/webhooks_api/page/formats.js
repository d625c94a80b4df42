/**
 * The formats on the page. `hosts`: the destination's own hosts, by which its URLs are recognised. `key`: the key that the
 * format needs beside the URL; it is stored and never shown again.
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

/** Returns the name by which people know a format. */
export const labelOf = (format) => FORMATS[format]?.label ?? format;

/** Returns the texts of the key that a format needs, or undefined if it needs none. */
export const keyOf = (format) => FORMATS[format]?.key;

/** Returns the format of the destination that a URL leads to, or undefined if its host is not known. */
export function formatFor(url) {
  if (!URL.canParse(url)) return undefined;
  const { hostname } = new URL(url);
  return Object.keys(FORMATS).find((format) => FORMATS[format].hosts?.test(hostname));
}
