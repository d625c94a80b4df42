import { readDeliveries, readDelivery, sendAgain } from './api.js';
import { button, field, h, isAvailable, select, setAvailable, stateMark, uniqueId } from './dom.js';
import { answerText, counted, EVENT_LABELS, exactTime, pretty, READERS_ZONE, shortTime, shortUrl, utcTime } from './format.js';
import { labelOf } from './formats.js';
import { PagedPanel } from './paged.js';

const STATES = {
  claimed: ['new', 'In progress'],
  delivered: ['good', 'Delivered'],
  retrying: ['slow', 'Will be retried'],
  failed: ['bad', 'Failed'],
  exhausted: ['bad', 'Failed after retries'],
  suppressed: ['off', 'Suppressed'],
  grouped: ['off', 'Grouped'],
};
const COLUMNS = ['Time', 'Event', 'State', 'Target', 'Status', 'Time taken', 'Reason'];
const NOTHING = '–';
const POLL_EVERY_MS = 1_000;
const POLLS = 20;

const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

function stateOf({ state }, ...more) {
  const [kind, words] = STATES[state] ?? ['new', state];
  return stateMark(kind, [words, ...more].filter(Boolean).join(' · '));
}

const clock = (iso, className) => h('time', { datetime: iso, title: utcTime(iso), class: className }, exactTime(iso));

/** A delivery: a row of the table, and a second row with its details. */
class DeliveryRows {
  constructor(delivery, { account, signal }) {
    Object.assign(this, { account, signal });
    const id = uniqueId('delivery');
    this.disclosure = button('', () => this.toggle(), { class: 'disclosure', 'aria-expanded': 'false', 'aria-controls': id });
    this.summary = h('tr', { role: 'row' });
    this.detailPlace = h('td', { colspan: COLUMNS.length, role: 'cell' });
    this.detail = h('tr', { id, role: 'row', class: 'detail', hidden: true }, this.detailPlace);
    this.againButton = button('Send again', () => this.sendAgain());
    this.outcome = h('div', { role: 'status', class: 'outcome' });
    this.show(delivery);
  }

  nodes() {
    return [this.summary, this.detail];
  }

  show(delivery) {
    this.delivery = delivery;
    this.disclosure.replaceChildren(h('span', { class: 'visually-hidden' }, 'Details of '), clock(delivery.occurredAt));
    const cells = [
      this.disclosure, EVENT_LABELS[delivery.event] ?? delivery.event, stateOf(delivery),
      delivery.targetUri === null ? NOTHING : shortUrl(delivery.targetUri),
      delivery.status ?? NOTHING, delivery.milliseconds === null ? NOTHING : `${delivery.milliseconds} ms`, delivery.reason ?? NOTHING,
    ];
    const keepFocus = document.activeElement === this.disclosure;
    this.summary.replaceChildren(...cells.map((cell, index) => h('td', { role: 'cell', 'data-label': COLUMNS[index], class: cell === NOTHING && 'nothing' }, cell)));
    if (keepFocus) this.disclosure.focus();
    if (!this.detail.hidden) this.showDetail();
  }

  toggle() {
    this.detail.hidden = !this.detail.hidden;
    this.disclosure.setAttribute('aria-expanded', String(!this.detail.hidden));
    if (!this.detail.hidden) this.showDetail();
  }

  showDetail() {
    const { delivery } = this;
    const facts = [
      ['Target', delivery.targetUri ?? 'not called yet'], ['Format', labelOf(delivery.format)], ['Event at', utcTime(delivery.occurredAt)], ['About', delivery.subjectId],
      ['webhook-id', delivery.webhookId], ['Attempts', String(delivery.attempts)],
      delivery.attemptedAt && ['Last attempt', clock(delivery.attemptedAt)],
      delivery.retryAt && ['Next retry', clock(delivery.retryAt)],
      delivery.reason && ['Reason', delivery.reason],
    ].filter(Boolean);
    const keepFocus = document.activeElement === this.againButton;
    this.detailPlace.replaceChildren(h('div', { class: 'detail-body' },
      h('dl', {}, facts.map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value)))),
      h('h3', {}, 'Body sent'), h('pre', { tabindex: 0, role: 'region', 'aria-label': 'Body sent' }, pretty(delivery.body)),
      h('h3', {}, 'Answer'), h('pre', { tabindex: 0, role: 'region', 'aria-label': 'Answer' }, pretty(delivery.response) || '(empty)'),
      h('div', { class: 'actions' }, this.againButton, this.outcome)));
    if (keepFocus) this.againButton.focus();
  }

  async sendAgain() {
    if (!isAvailable(this.againButton)) return;
    setAvailable(this.againButton, false);
    this.outcome.replaceChildren('Sending…');
    try {
      // Read again, because a retry may have been made since the list was read.
      const { attempts: before } = await readDelivery(this.account, this.delivery.deliveryId, this.signal);
      await sendAgain(this.account, this.delivery.deliveryId);
      const answered = await this.follow(before);
      this.outcome.replaceChildren(answered
        ? stateOf(answered, answerText(answered), answered.reason) : 'Nothing has come of it yet. Refresh to look again.');
    } catch (error) {
      if (!this.signal.aborted) this.outcome.replaceChildren(stateMark('bad', `Not sent again: ${error.message}`));
    }
    setAvailable(this.againButton, true);
  }

  async follow(attemptsBefore) {
    for (let poll = 0; poll < POLLS; poll += 1) {
      await pause(POLL_EVERY_MS);
      const delivery = await readDelivery(this.account, this.delivery.deliveryId, this.signal);
      if (delivery.attempts > attemptsBefore && delivery.state !== 'claimed') {
        this.show(delivery);
        return delivery;
      }
    }
    return null;
  }
}

/** The list with its filter. */
class Deliveries extends PagedPanel {
  constructor(context) {
    super({ ...context, called: 'deliveries' });
    const refresh = () => this.refresh();
    const stateOptions = Object.entries(STATES).map(([key, [, words]]) => [key, words]);
    this.event = field('Event', select([['', 'All events'], ...Object.entries(EVENT_LABELS)], '', { onchange: refresh }));
    this.state = field('State', select([['', 'All states'], ...stateOptions], '', { onchange: refresh }));
    this.since = field('From', h('input', { type: 'datetime-local', onchange: refresh }));
    this.until = field('To', h('input', { type: 'datetime-local', onchange: refresh }));
    const filter = h('form', {
      class: 'filter', 'aria-label': 'Filter deliveries', novalidate: true, onsubmit: (event) => { event.preventDefault(); this.refresh(); },
    }, this.event.node, this.state.node, this.since.node, this.until.node, h('button', {}, 'Refresh'));
    this.body = h('tbody', { role: 'rowgroup' });
    // Explicit roles, because on a phone the rows are stacked, which removes the table's own roles.
    this.list = h('table', { role: 'table', class: 'deliveries', 'aria-label': 'Recent deliveries', hidden: true },
      h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, COLUMNS.map((name) => h('th', { role: 'columnheader', scope: 'col' }, name)))), this.body);
    const id = uniqueId('deliveries');
    this.node = h('section', { class: 'panel', 'aria-labelledby': id }, h('h2', { id }, 'Recent deliveries'),
      h('p', { class: 'lead' }, `The last 30 days, newest first. Times are in your time zone, ${READERS_ZONE}.`),
      filter, this.place, this.list, this.foot);
  }

  filter() {
    const instant = ({ control }) => (control.value ? new Date(control.value).toISOString() : '');
    return { event: this.event.control.value, state: this.state.control.value, since: instant(this.since), until: instant(this.until) };
  }

  async refresh() {
    const { since, until } = this.filter();
    const isBackwards = since && until && since >= until;
    this.until.complain(isBackwards ? 'This must be later than From.' : null);
    if (isBackwards) this.moreButton.hidden = true;
    else await super.refresh();
  }

  ask(cursor) {
    return readDeliveries(this.account, { ...this.filter(), cursor }, this.signal);
  }

  clear() {
    this.body.replaceChildren();
    this.shown = 0;
    this.list.hidden = true;
    this.moreButton.hidden = true;
  }

  show({ items, next, searchedBackTo }) {
    const rows = items.map((delivery) => new DeliveryRows(delivery, this));
    this.body.append(...rows.flatMap((row) => row.nodes()));
    this.shown += rows.length;
    this.list.hidden = this.shown === 0;
    this.place.replaceChildren(...(this.shown === 0 ? [h('p', { class: 'empty' }, next ? 'Nothing found so far.' : 'No deliveries.')] : []));
    const back = searchedBackTo ? ` Searched back to ${shortTime(searchedBackTo)}.` : '';
    this.reach.textContent = `${counted(this.shown, 'delivery', 'deliveries')} shown.${back}${next ? ' There may be more.' : ''}`;
    return rows[0]?.disclosure;
  }
}

/** The panel "Recent deliveries". */
export function deliveriesPanel(context) {
  const deliveries = new Deliveries(context);
  deliveries.refresh();
  return deliveries.node;
}
