import { sendTest } from './api.js';
import { Destination } from './destination.js';
import { button, field, h, isAvailable, select, setAvailable, stateMark } from './dom.js';
import { EventChoice } from './event_choice.js';
import { answerText, counted, pretty } from './format.js';
import { healthMark, wayBack } from './health.js';
import { ALL_IS_SENT, Preferences } from './preferences.js';
import { CustomHeaders, secretBox, SigningSecrets } from './secrets.js';

const DELIVERIES = [['once', 'Once'], ['retry', 'Retry for about 3 days']];
const NEW_TARGET = { targetUri: '', format: 'text', destinationKey: null, delivery: 'once', enabled: true, preferences: ALL_IS_SENT, headers: {}, includeOutput: false };

/**
 * The event types and settings of a target. Headers are pairs of name and value. A value or a key is null if the stored one is to stay.
 * @typedef {{targetUri: string, events: string[], format: string, destinationKey: ?string, delivery: string, enabled: boolean, preferences: object, headers: [string, ?string][], includeOutput: boolean}} Draft
 */

/** Returns the draft for the stored target. @returns {Draft} */
export const unchanged = ({ targetUri, events, format, delivery, enabled, preferences, headers, includeOutput }) => (
  { targetUri, events, format, destinationKey: null, delivery, enabled, preferences, headers: Object.entries(headers ?? {}), includeOutput });

/** A target of an event type: its settings, its health, and its test event. */
export class TargetRow {
  /**
   * @param {{account: string, event: string, label: string, labels: Object<string, string>, formats: string[], targetWith: (url: string) => ?object, roomFor: (event: string) => number, changed: () => void, remove: (row: TargetRow) => void}} card
   *   `targetWith` returns the account's stored target with a URL, `roomFor` how many more targets an event type may have here
   * @param {?object} stored the target as the service has it; null for a new one
   * @param {Draft} [draft] the values that have been typed already
   */
  constructor(card, stored, draft) {
    this.card = card;
    this.destination = new Destination({ ...card, changed: () => this.changed() });
    this.buildSettings();
    this.events = new EventChoice(card.event, card.labels, () => this.changed());
    this.headers = new CustomHeaders(() => this.changed());
    this.preferences = new Preferences(card.event, () => this.changed());
    this.secrets = new SigningSecrets({ ...card, onSecret: (secret, secrets) => this.adoptSecret(secret, secrets) });
    this.secretPlace = h('div', {});
    this.health = h('div', { class: 'health' });
    this.note = h('p', { class: 'hint', hidden: true });
    this.testButton = button('Send test', () => this.test());
    this.removeButton = button('Remove', () => card.remove(this), { class: 'quiet' });
    this.testOutcome = h('div', { role: 'status', class: 'test-outcome' });
    this.summary = h('summary', {});
    this.more = h('details', { class: 'more' }, this.summary, this.preferences.node, this.log.node, this.headers.node, this.secrets.node);
    this.node = h('div', { class: 'target', role: 'group' },
      h('div', { class: 'settings' }, this.url.node, this.destination.format.node, this.delivery.node, this.on.node),
      this.destination.announcement, this.destination.key.node, this.events.node,
      h('div', { class: 'target-foot' }, this.health, h('div', { class: 'actions' }, this.testButton, this.removeButton)),
      this.note, this.secretPlace, this.testOutcome, this.destination.preview, this.more);
    this.adopt(stored, draft);
  }

  buildSettings() {
    const changed = () => this.changed();
    const typed = () => {
      this.destination.follow(this.url.control.value.trim());
      this.changed();
    };
    this.url = field('Target URL', h('input', {
      type: 'url', inputmode: 'url', autocomplete: 'off', spellcheck: 'false', placeholder: 'https://', oninput: typed,
    }), { className: 'url' });
    this.delivery = field('Delivery', select(DELIVERIES, null, { onchange: changed }));
    this.log = field('Include the end of the backup’s log', h('input', { type: 'checkbox', onchange: changed }), {
      className: 'check', hint: 'With the formats Detailed and CloudEvents. It may hold secrets.',
    });
    this.on = field('On', h('input', { type: 'checkbox', role: 'switch', onchange: changed }), { className: 'switch' });
  }

  /** Shows the values that the service has stored. Open parts and a new secret stay. */
  adopt(stored, draft = stored ? unchanged(stored) : { ...NEW_TARGET, events: Object.keys(this.card.labels), headers: [] }) {
    this.stored = stored;
    this.url.control.value = draft.targetUri;
    this.events.show(draft.events);
    this.destination.adopt(draft, !stored);
    this.delivery.control.value = draft.delivery;
    this.on.control.checked = draft.enabled;
    this.preferences.show(draft.preferences);
    this.log.control.checked = draft.includeOutput;
    this.headers.show(draft.headers, Object.keys(stored?.headers ?? {}));
    this.secrets.show(stored);
    if (stored?.secret && !this.secretPlace.hasChildNodes()) this.showSecret(stored.secret);
    this.forgive();
    this.reflect();
    return this;
  }

  /** Names the row by its position among the event type's targets. */
  number(position) {
    this.node.setAttribute('aria-label', `${this.card.label}, target ${position}`);
  }

  focus() {
    this.url.control.focus();
  }

  /** @returns {Draft} */
  draft() {
    return {
      targetUri: this.url.control.value.trim(), events: this.events.value(), ...this.destination.draft(),
      delivery: this.delivery.control.value, enabled: this.on.control.checked, preferences: this.preferences.value(), headers: this.headers.pairs(),
      includeOutput: this.log.control.checked,
    };
  }

  /**
   * Returns the draft in the form that the service accepts. Headers are left out if neither they nor the URL changed. The event
   * types count only for a new target.
   */
  request() {
    const { headers, ...settings } = this.draft();
    const kept = this.hasStoredUrl() && JSON.stringify(headers) === JSON.stringify(unchanged(this.stored).headers);
    return kept || (!this.stored && headers.length === 0) ? settings : { ...settings, headers: Object.fromEntries(headers) };
  }

  /** Returns whether nothing has been typed into a new row. */
  isBlank() {
    const { targetUri, destinationKey, preferences, headers } = this.draft();
    return !this.stored && !targetUri && !destinationKey && headers.length === 0 && JSON.stringify(preferences) === JSON.stringify(ALL_IS_SENT);
  }

  /** Returns whether this is a target that the account does not have yet. Its event types are chosen here. */
  isNew() {
    return !this.stored && !this.card.targetWith(this.url.control.value.trim());
  }

  hasStoredUrl() {
    return Boolean(this.stored) && this.url.control.value.trim() === this.stored.targetUri;
  }

  /** Returns whether a secret is being made, or is shown that the reader has not confirmed to have kept. */
  holdsSecret() {
    return this.secretPlace.hasChildNodes() || this.secrets.busy;
  }

  changed() {
    this.reflect();
    this.card.changed();
  }

  reflect() {
    const isStored = this.hasStoredUrl();
    this.destination.reflect(isStored ? this.stored : null);
    // A test event uses the stored settings.
    this.testButton.disabled = !this.stored || JSON.stringify(this.draft()) !== JSON.stringify(unchanged(this.stored));
    this.health.replaceChildren(isStored ? healthMark(this.stored) : stateMark('new', 'Not saved yet'));
    this.events.node.hidden = !this.isNew() || !this.url.control.value.trim();
    const note = this.noteText();
    this.note.textContent = note;
    this.note.hidden = !note;
    const secrets = this.stored ? `, ${counted(this.stored.secrets.length, 'signing secret')}` : '';
    const less = this.preferences.summary() && `${this.preferences.summary()}, `;
    this.summary.textContent = `More: ${less}${counted(this.headers.pairs().length, 'custom header')}${secrets}`;
  }

  noteText() {
    if (this.hasStoredUrl()) return [wayBack(this.stored), this.elsewhere(this.stored)].filter(Boolean).join(' ');
    if (this.stored) return 'With another URL this is a new target: it gets its own signing secret, and header values and keys are to be typed again.';
    return this.isNew() ? '' : this.elsewhere(this.card.targetWith(this.url.control.value.trim()));
  }

  /** Returns for which other events a stored target is set, if for any. */
  elsewhere({ events }) {
    const others = events.filter((event) => event !== this.card.event).map((event) => this.card.labels[event]);
    return others.length ? `Also set for ${others.join(', ')}: settings and signing secret are the same there.` : '';
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
    for (const part of [this.url, this.delivery, this.on, this.log]) part.complain(null);
    this.destination.forgive();
    this.events.forgive();
    this.preferences.forgive();
    this.headers.forgive();
  }

  /**
   * Shows the first error that can be found without the service.
   * @param {TargetRow[]} above the event type's rows above this one
   * @returns {?HTMLElement} the control to correct
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
    const keyGap = this.destination.firstGap(this.hasStoredUrl() ? this.stored : null);
    if (keyGap) return keyGap;
    const full = this.fullEvent(above);
    if (full) return this.events.complain(full, 'This event has as many targets as are allowed here. Untick it.');
    const gap = this.preferences.firstGap() ?? this.headers.firstGap(!this.hasStoredUrl());
    if (gap) this.more.open = true;
    return gap;
  }

  /** Returns an event type of this new target for which the stored targets and the new rows above leave no room. */
  fullEvent(above) {
    if (!this.isNew()) return undefined;
    const added = above.filter((row) => row.isNew()).flatMap((row) => row.draft().events);
    const isFull = (event) => added.filter((other) => other === event).length >= this.card.roomFor(event);
    // The card itself has no more rows than its own event may have targets.
    return this.draft().events.find((event) => event !== this.card.event && isFull(event));
  }

  /**
   * Shows an error from the service.
   * @param {string} where the field of the target, such as `targetUri` or `headers['Host']`
   * @returns {HTMLElement} the control that it is about
   */
  complain(where, reason) {
    if (where.startsWith('preferences')) {
      this.more.open = true;
      return this.preferences.complain(where.replace(/^preferences\.?/, ''), reason);
    }
    if (where.startsWith('events')) return this.events.complain(null, reason);
    const header = /^headers\[(['"])(.*)\1\]$/.exec(where)?.[2];
    if (where.startsWith('headers')) this.more.open = true;
    const control = header !== undefined && this.headers.complain(header, reason);
    if (control) return control;
    const part = { format: this.destination.format, destinationKey: this.destination.key, delivery: this.delivery, enabled: this.on, includeOutput: this.log }[where] ?? this.url;
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
