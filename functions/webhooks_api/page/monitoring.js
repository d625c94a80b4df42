import { readRecipients, saveRecipients } from './api.js';
import { button, field, h, loadInto, select, uniqueId } from './dom.js';
import { READERS_ZONE, timeOnBothClocks } from './format.js';
import { RowsForm } from './rows_form.js';
import { zoneField } from './zone_field.js';

const REPORTS = [['daily', 'Daily'], ['weekly', 'Weekly, on Mondays'], ['none', 'None']];
const HOURS = Array.from({ length: 24 }, (_, hour) => [hour, `${String(hour).padStart(2, '0')}:00`]);
const NEW_RECIPIENT = { address: '', report: 'daily', onFailure: false, onMissing: false };
// The ETag of an account whose recipients were never set.
const NEVER_SET = '"0"';

/**
 * The settings of a recipient.
 * @typedef {{address: string, report: 'daily'|'weekly'|'none', onFailure: boolean, onMissing: boolean}} Recipient
 */

/** An e-mail address and the e-mail that it gets. */
class RecipientRow {
  /**
   * @param {{changed: () => void, remove: (row: RecipientRow) => void}} form
   * @param {?Recipient} stored as the service has it; null for a new one
   * @param {Recipient} [draft] the values that have been typed already
   */
  constructor({ changed, remove }, stored, draft = stored ?? NEW_RECIPIENT) {
    this.stored = stored;
    this.address = field('E-mail address', h('input', {
      type: 'email', autocomplete: 'off', spellcheck: 'false', value: draft.address, oninput: changed,
    }));
    this.report = field('Report', select(REPORTS, draft.report, { onchange: changed }));
    const box = (label, checked) => field(label, h('input', { type: 'checkbox', checked, onchange: changed }), { className: 'check' });
    this.onFailure = box('Failed backups at once', draft.onFailure);
    this.onMissing = box('Missed, unfinished and stale backups at once', draft.onMissing);
    this.removeButton = button('Remove', () => remove(this), { class: 'quiet' });
    this.node = h('div', { class: 'recipient', role: 'group' },
      this.address.node, this.report.node, h('div', { class: 'checks' }, this.onFailure.node, this.onMissing.node), this.removeButton);
  }

  number(position) {
    this.node.setAttribute('aria-label', `Recipient ${position}`);
  }

  focus() {
    this.address.control.focus();
  }

  /** @returns {Recipient} */
  draft() {
    return {
      address: this.address.control.value.trim(), report: this.report.control.value,
      onFailure: this.onFailure.control.checked, onMissing: this.onMissing.control.checked,
    };
  }

  /** Returns whether nothing has been typed into a new row. */
  isBlank() {
    return !this.stored && JSON.stringify(this.draft()) === JSON.stringify(NEW_RECIPIENT);
  }

  forgive() {
    for (const part of [this.address, this.report, this.onFailure, this.onMissing]) part.complain(null);
  }

  /** Shows the first error that can be found without the service. Returns its control, or null. */
  firstGap(above) {
    const address = this.draft().address.toLowerCase();
    if (address && !above.some((row) => row.draft().address.toLowerCase() === address)) return null;
    this.address.complain(address ? 'This address is set above already.' : 'Type an address, or remove the recipient.');
    return this.address.control;
  }

  /** Shows an error from the service. `where`: the field below `recipients[n]`. */
  complain(where, reason) {
    const part = { report: this.report, onFailure: this.onFailure, onMissing: this.onMissing }[where] ?? this.address;
    part.complain(reason);
    return part.control;
  }
}

/** Returns the form's contents for the stored settings. A zone that was never set is the reader's own. */
const unchanged = ({ recipients, hour, timezone, etag }) => ({
  recipients: recipients.map(({ address, report, onFailure, onMissing }) => ({ address, report, onFailure, onMissing })),
  hour, timezone: etag === NEVER_SET ? READERS_ZONE : timezone,
});

/** The form with all recipients and the time of their reports. */
class Recipients extends RowsForm {
  constructor(item, { account, signal }) {
    super({ called: 'who gets e-mail', signal, mostRows: item.mostRecipients, addLabel: 'Add recipient' });
    this.account = account;
    const [id, scheduleId] = [uniqueId('recipients'), uniqueId('schedule')];
    this.next = h('p', { class: 'lead next-report' });
    this.content = h('div', {}, this.rowPlace, this.addButton,
      h('div', { class: 'schedule', role: 'group', 'aria-labelledby': scheduleId }, h('h3', { id: scheduleId }, 'When reports go out'), this.scheduleFields(), this.next));
    this.node = h('section', { class: 'panel', 'aria-labelledby': id },
      h('div', { class: 'card-head' }, h('h2', { id }, 'Notifications by e-mail'), this.mark),
      h('p', { class: 'lead' }, 'How your backups went, by e-mail: a report each day or each week, and word of trouble at once.'),
      !item.sendsEmail && h('p', { class: 'warning' }, 'This installation sends no e-mail. What you set here is kept, and will hold once its operator has given it a sender.'),
      this.buildForm(id, this.content));
    this.show(item);
  }

  scheduleFields() {
    const changed = () => this.changed();
    this.hour = field('Hour', select(HOURS, null, { onchange: changed }));
    const zone = zoneField(changed);
    this.zone = zone.field;
    return h('div', { class: 'schedule-fields' }, this.hour.node, this.zone.node, zone.list);
  }

  /** Shows the stored settings, or in their place the drafts. */
  show(item, drafts = unchanged(item)) {
    this.item = item;
    const stored = new Map(item.recipients.map((recipient) => [recipient.address.toLowerCase(), recipient]));
    this.rows = drafts.recipients.map((draft) => this.newRow(stored.get(draft.address.toLowerCase()) ?? null, draft));
    this.hour.control.value = drafts.hour;
    this.zone.control.value = drafts.timezone;
    this.next.textContent = nextReport(item);
    this.forgive();
    this.place();
  }

  newRow(stored, draft) {
    return new RecipientRow({ changed: () => this.changed(), remove: (row) => this.remove(row) }, stored, draft);
  }

  drafts() {
    return {
      recipients: this.filledRows().map((row) => row.draft()),
      hour: Number(this.hour.control.value), timezone: this.zone.control.value.trim(),
    };
  }

  isDirty() {
    return JSON.stringify(this.drafts()) !== JSON.stringify(unchanged(this.item));
  }

  forgive() {
    super.forgive();
    this.hour.complain(null);
    this.zone.complain(null);
  }

  put() {
    return saveRecipients(this.account, this.item.etag, this.drafts());
  }

  complain(name, reason) {
    const [, index, where] = /^recipients\[(\d+)\]\.?(.*)$/.exec(name) ?? [];
    if (index) return this.filledRows()[index]?.complain(where, reason);
    const part = { hour: this.hour, timezone: this.zone }[name];
    part?.complain(reason);
    return part?.control;
  }

  current() {
    return readRecipients(this.account, this.signal);
  }
}

function nextReport({ nextReportAt, sendsEmail, timezone }) {
  if (!sendsEmail) return '';
  if (!nextReportAt) return 'No report goes out: nobody gets one.';
  if (new Date(nextReportAt) <= new Date()) return 'A report is going out now.';
  const { there, zone, here } = timeOnBothClocks(nextReportAt, timezone);
  return `The next report goes out ${there} (${zone})${here ? `, ${here} your time` : ''}.`;
}

/**
 * The view "Monitoring".
 * @param {{account: string, signal: AbortSignal, stash: ?object, onRestored: () => void}} context
 */
export function monitoringView({ account, signal, stash, onRestored }) {
  let form = null;
  const place = h('div', {});
  loadInto(place, { called: 'recipients', signal }, async () => {
    form = new Recipients(await readRecipients(account, signal), { account, signal });
    if (stash) form.restore(stash);
    onRestored();
    return [form.node];
  });
  return {
    node: place, isUnsettled: () => Boolean(form?.isUnsettled()), holdsSecret: () => false, stash: () => form.stash(),
  };
}
