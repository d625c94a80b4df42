import { field, h } from './dom.js';
import { READERS_ZONE } from './format.js';

const MOST_REMIND_HOURS = 720;
const FIRST_OF_ITS_KIND = 'Only the first since the last success of the same backup. Backup Recovered, or Backup Success, reports that it is over. If the first may be lost, choose retries or reminders.';
/** The hints of "Only changes" by event type. */
const CHANGES = {
  'Backup.Failure': FIRST_OF_ITS_KIND,
  'Backup.PartialSuccess': FIRST_OF_ITS_KIND,
  'Backup.Missing': FIRST_OF_ITS_KIND,
  'Backup.Success': 'Only the first after trouble of any kind.',
  'Backup.Recovered': 'Each recovery is a change: this leaves nothing out.',
  'Backup.Unfinished': FIRST_OF_ITS_KIND,
  'Backup.Stale': FIRST_OF_ITS_KIND,
};
const USUAL_NIGHT = { from: '22:00', until: '07:00' };

/** The preferences of a target to which all events are sent at once. */
export const ALL_IS_SENT = { changesOnly: false, remindHours: null, quietHours: null, group: false };

/** The fields of a target's preferences. Their value has the form of `ALL_IS_SENT`. */
export class Preferences {
  /**
   * @param {string} event
   * @param {() => void} changed called at each change
   */
  constructor(event, changed) {
    this.lasts = CHANGES[event] === FIRST_OF_ITS_KIND;
    const check = (label, hint) => field(label, h('input', { type: 'checkbox', onchange: () => { this.reflect(); changed(); } }), { hint, className: 'check' });
    this.changesOnly = check('Only changes', CHANGES[event]);
    this.remind = field('Remind every … hours while it lasts', h('input', {
      type: 'number', min: 1, max: MOST_REMIND_HOURS, step: 1, inputmode: 'numeric', placeholder: 'never', oninput: changed,
    }), { hint: 'The newest is sent again then, until a success.', className: 'narrow' });
    this.quiet = check('Quiet hours', 'Only failures, misses, unfinished and stale backups are sent then, and retries of what was sent before.');
    this.from = field('From', h('input', { type: 'time', required: true, oninput: changed }), { className: 'narrow' });
    this.until = field('Until', h('input', { type: 'time', required: true, oninput: changed }), { className: 'narrow' });
    this.zone = field('Time zone', h('input', { autocomplete: 'off', spellcheck: 'false', oninput: changed }));
    this.group = check('Group', 'What comes within a minute is one message with a list, at the end of that minute. Not with the format PagerDuty.');
    this.times = h('div', { class: 'inline' }, this.from.node, this.until.node, this.zone.node);
    this.node = h('div', { class: 'more-part' }, h('h3', {}, 'Less noise'),
      h('p', {}, 'What is suppressed or grouped stands in the deliveries, with the reason.'),
      h('div', { class: 'checks' }, this.changesOnly.node, this.remind.node, this.quiet.node, this.times, this.group.node));
  }

  show({ group, changesOnly, remindHours, quietHours }) {
    this.group.control.checked = group;
    this.changesOnly.control.checked = changesOnly;
    this.remind.control.value = remindHours ?? '';
    this.quiet.control.checked = Boolean(quietHours);
    const { from, until, timezone } = quietHours ?? { ...USUAL_NIGHT, timezone: READERS_ZONE };
    this.from.control.value = from;
    this.until.control.value = until;
    this.zone.control.value = timezone;
    this.reflect();
  }

  reflect() {
    this.remind.node.hidden = !this.changesOnly.control.checked || !this.lasts;
    this.times.hidden = !this.quiet.control.checked;
  }

  value() {
    const changesOnly = this.changesOnly.control.checked;
    const hours = this.remind.control.value;
    return {
      changesOnly,
      remindHours: changesOnly && this.lasts && hours !== '' ? Number(hours) : null,
      quietHours: this.quiet.control.checked
        ? { from: this.from.control.value, until: this.until.control.value, timezone: this.zone.control.value.trim() } : null,
      group: this.group.control.checked,
    };
  }

  /** Returns the preferences in a few words, or an empty text if all events are sent at once. */
  summary() {
    const { group, changesOnly, quietHours } = this.value();
    return [changesOnly && 'only changes', quietHours && 'quiet hours', group && 'grouped'].filter(Boolean).join(', ');
  }

  forgive() {
    for (const part of [this.group, this.changesOnly, this.remind, this.quiet, this.from, this.until, this.zone]) part.complain(null);
  }

  /** @returns {?HTMLElement} the first control to correct, of those that can be checked without the service */
  firstGap() {
    const { remindHours, quietHours } = this.value();
    // A browser that accepts letters here gives an empty value for them.
    const usable = remindHours === null || (Number.isInteger(remindHours) && remindHours >= 1 && remindHours <= MOST_REMIND_HOURS);
    if (this.remind.control.validity.badInput || !usable) {
      return this.complain('remindHours', `Whole hours from 1 to ${MOST_REMIND_HOURS}, or nothing.`);
    }
    for (const name of ['from', 'until']) {
      if (quietHours && !quietHours[name]) return this.complain(`quietHours.${name}`, 'Type a time, such as 22:00.');
    }
    return null;
  }

  /** Shows an error. @returns {HTMLElement} the control that it is about */
  complain(where, reason) {
    const part = {
      group: this.group, remindHours: this.remind, 'quietHours.from': this.from, 'quietHours.until': this.until, 'quietHours.timezone': this.zone,
    }[where] ?? this.changesOnly;
    part.complain(reason);
    return part.control;
  }
}
