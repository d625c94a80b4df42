import { sendTest } from './api.js';
import { button, field, h, isAvailable, select, setAvailable, stateMark } from './dom.js';
import { answerText, counted, pretty, shortTime } from './format.js';
import { CustomHeaders, secretBox, SigningSecrets } from './secrets.js';

const FORMATS = { text: 'Text', detailed: 'Detailed' };
const DELIVERIES = [['once', 'Once'], ['retry', 'Retry for about 3 days']];
const NEW_TARGET = { targetUri: '', format: 'text', delivery: 'once', enabled: true, headers: {}, includeLog: false };

/**
 * What the reader wants of a target. Headers are pairs of name and value, null where the stored value is to stay.
 * @typedef {{targetUri: string, format: string, delivery: string, enabled: boolean, headers: [string, ?string][], includeLog: boolean}} Draft
 */

/** The draft that changes nothing of a stored target. @returns {Draft} */
export const unchanged = ({ targetUri, format, delivery, enabled, headers, includeLog }) => (
  { targetUri, format, delivery, enabled, headers: Object.entries(headers ?? {}), includeLog });

/** One target of an event: its settings, its health, a test. */
export class TargetRow {
  /**
   * @param {{account: string, event: string, label: string, formats: string[], changed: () => void, remove: (row: TargetRow) => void}} card
   * @param {?object} stored the target as the service has it; null for a new one
   * @param {Draft} [draft] what has been typed already
   */
  constructor(card, stored, draft) {
    this.card = card;
    this.buildSettings(card);
    this.headers = new CustomHeaders(() => this.changed());
    this.secrets = new SigningSecrets({ ...card, onSecret: (secret, secrets) => this.adoptSecret(secret, secrets) });
    this.secretPlace = h('div', {});
    this.health = h('div', { class: 'health' });
    this.note = h('p', { class: 'hint', hidden: true });
    this.testButton = button('Send test', () => this.test());
    this.removeButton = button('Remove', () => card.remove(this), { class: 'quiet' });
    this.testOutcome = h('div', { role: 'status', class: 'test-outcome' });
    this.summary = h('summary', {});
    this.more = h('details', { class: 'more' }, this.summary, this.log.node, this.headers.node, this.secrets.node);
    this.node = h('div', { class: 'target', role: 'group' },
      h('div', { class: 'settings' }, this.url.node, this.format.node, this.delivery.node, this.on.node),
      h('div', { class: 'target-foot' }, this.health, h('div', { class: 'actions' }, this.testButton, this.removeButton)),
      this.note, this.secretPlace, this.testOutcome, this.more);
    this.adopt(stored, draft);
  }

  buildSettings({ formats }) {
    const changed = () => this.changed();
    this.url = field('Target URL', h('input', {
      type: 'url', inputmode: 'url', autocomplete: 'off', spellcheck: 'false', placeholder: 'https://', oninput: changed,
    }), { className: 'url' });
    this.format = field('Format', select(formats.map((format) => [format, FORMATS[format] ?? format]), null, { onchange: changed }));
    this.delivery = field('Delivery', select(DELIVERIES, null, { onchange: changed }));
    this.log = field('Include the end of the backup’s log', h('input', { type: 'checkbox', onchange: changed }), {
      className: 'check', hint: 'With the format Detailed. It may hold secrets.',
    });
    this.on = field('On', h('input', { type: 'checkbox', role: 'switch', onchange: changed }), { className: 'switch' });
  }

  /** Takes over what the service has stored, keeping what is open or shown once. */
  adopt(stored, draft = stored ? unchanged(stored) : { ...NEW_TARGET, headers: [] }) {
    this.stored = stored;
    this.url.control.value = draft.targetUri;
    this.format.control.value = draft.format;
    this.delivery.control.value = draft.delivery;
    this.on.control.checked = draft.enabled;
    this.log.control.checked = draft.includeLog;
    this.headers.show(draft.headers, Object.keys(stored?.headers ?? {}));
    this.secrets.show(stored);
    if (stored?.secret) this.showSecret(stored.secret);
    this.forgive();
    this.reflect();
    return this;
  }

  /** Says which of the event's targets this is. */
  number(position) {
    this.node.setAttribute('aria-label', `${this.card.label}, target ${position}`);
  }

  focus() {
    this.url.control.focus();
  }

  /** @returns {Draft} */
  draft() {
    return {
      targetUri: this.url.control.value.trim(), format: this.format.control.value, delivery: this.delivery.control.value,
      enabled: this.on.control.checked, headers: this.headers.pairs(), includeLog: this.log.control.checked,
    };
  }

  /** The draft as the service takes it. Headers are left out where nothing of them, nor of the URL, has changed. */
  request() {
    const { headers, ...settings } = this.draft();
    const kept = this.hasStoredUrl() && JSON.stringify(headers) === JSON.stringify(unchanged(this.stored).headers);
    return kept || (!this.stored && headers.length === 0) ? settings : { ...settings, headers: Object.fromEntries(headers) };
  }

  /** Nothing has been typed into a new row. */
  isBlank() {
    return !this.stored && !this.url.control.value.trim() && this.headers.pairs().length === 0;
  }

  hasStoredUrl() {
    return Boolean(this.stored) && this.url.control.value.trim() === this.stored.targetUri;
  }

  /** A secret is shown that nobody has said to have kept, or is just being made. */
  holdsSecret() {
    return this.secretPlace.hasChildNodes() || this.secrets.busy;
  }

  changed() {
    this.reflect();
    this.card.changed();
  }

  reflect() {
    const isStored = this.hasStoredUrl();
    // What is stored is what is tested.
    this.testButton.disabled = !this.stored || JSON.stringify(this.draft()) !== JSON.stringify(unchanged(this.stored));
    this.health.replaceChildren(isStored ? healthMark(this.stored) : stateMark('new', 'Not saved yet'));
    const note = isStored ? wayBack(this.stored) : this.stored && 'With another URL this is a new target: it gets its own signing secret, and header values are to be typed again.';
    this.note.textContent = note || '';
    this.note.hidden = !note;
    const secrets = this.stored ? `, ${counted(this.stored.secrets.length, 'signing secret')}` : '';
    this.summary.textContent = `More: ${counted(this.headers.pairs().length, 'custom header')}${secrets}`;
  }

  adoptSecret(secret, secrets) {
    Object.assign(this.stored, { secret, secrets });
    this.showSecret(secret);
    this.reflect();
  }

  showSecret(secret) {
    this.secretPlace.replaceChildren(secretBox(secret, () => {
      this.stored.secret = null;
      this.secretPlace.replaceChildren();
      this.url.control.focus();
    }));
    this.secretPlace.querySelector('input').focus();
  }

  forgive() {
    for (const part of [this.url, this.format, this.delivery, this.on, this.log]) part.complain(null);
    this.headers.forgive();
  }

  /**
   * What can be told without asking the service.
   * @param {TargetRow[]} above the event's rows above this one
   * @returns {?HTMLElement} the first control to be mended
   */
  firstGap(above) {
    if (!this.url.control.value.trim()) {
      this.url.complain('Type a URL, or remove the target.');
      return this.url.control;
    }
    if (above.some((row) => row.draft().targetUri === this.draft().targetUri)) {
      this.url.complain('This URL is set above already.');
      return this.url.control;
    }
    const gap = this.headers.firstGap(!this.hasStoredUrl());
    if (gap) this.more.open = true;
    return gap;
  }

  /**
   * Shows what the service has found wrong.
   * @param {string} where the field below `targetUris[n]`, such as `targetUri` or `headers['Host']`
   * @returns {HTMLElement} the control that it is about
   */
  complain(where, reason) {
    const header = /^headers\[(['"])(.*)\1\]$/.exec(where)?.[2];
    if (where.startsWith('headers')) this.more.open = true;
    const control = header !== undefined && this.headers.complain(header, reason);
    if (control) return control;
    const part = { format: this.format, delivery: this.delivery, enabled: this.on, includeLog: this.log }[where] ?? this.url;
    part.complain(where.startsWith('headers') ? `Custom headers: ${reason}` : reason);
    return part.control;
  }

  async test() {
    if (!isAvailable(this.testButton)) return;
    setAvailable(this.testButton, false);
    this.testButton.textContent = 'Sending…';
    this.testOutcome.replaceChildren('Sending a test…');
    try {
      this.testOutcome.replaceChildren(...testOutcome(await sendTest(this.card.account, this.card.event, this.stored.targetId)));
    } catch (error) {
      this.testOutcome.replaceChildren(stateMark('bad', `Not sent: ${error.message}`));
    } finally {
      this.testButton.textContent = 'Send test';
      setAvailable(this.testButton, true);
    }
  }
}

function testOutcome({ delivered, reason, body, response, ...answer }) {
  const words = [delivered ? 'Delivered' : 'Not delivered', answerText(answer), reason].filter(Boolean).join(' · ');
  return [
    stateMark(delivered ? 'good' : 'bad', words),
    h('details', {}, h('summary', {}, 'What was sent and answered'),
      h('h3', {}, 'Sent'), h('pre', { tabindex: 0, 'aria-label': 'Body sent', role: 'region' }, pretty(body)),
      h('h3', {}, 'Answer'), h('pre', { tabindex: 0, 'aria-label': 'Answer', role: 'region' }, pretty(response) || '(empty)')),
  ];
}

function healthMark({ health, enabled }) {
  const since = health.failingSince ? ` since ${shortTime(health.failingSince)}` : '';
  const last = health.lastReason ?? (health.lastStatus && `status ${health.lastStatus}`);
  if (health.state === 'switchedOff') return stateMark('off', `Switched off: ${health.switchedOffReason ?? last ?? 'it kept failing'}`);
  if (!enabled) return stateMark('off', 'Off: nothing is sent');
  if (health.state === 'failing') {
    return stateMark('bad', `Failing: ${health.consecutiveFailures} in a row${since}${last ? `, last: ${last}` : ''}`);
  }
  return health.state === 'slow' ? stateMark('slow', 'Slow') : stateMark('good', 'Good');
}

function wayBack({ health }) {
  if (health.state !== 'switchedOff') return null;
  const when = health.switchedOffAt ? ` on ${shortTime(health.switchedOffAt)}` : '';
  return `We switched this target off${when}. To bring it back: mend the endpoint, tick On, then Save.`;
}
