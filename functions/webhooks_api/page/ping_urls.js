import { makePingKey, readOutputs, readPingKeys, revokePingKey } from './api.js';
import { ask, button, field, focusOn, h, isAvailable, loadInto, select, setAvailable, stateMark, uniqueId } from './dom.js';
import { counted, READERS_ZONE, shortTime, utcTime } from './format.js';
import { shownOnce } from './shown_once.js';
import { zoneField } from './zone_field.js';

const PLANS = [['backupSchedule', 'By a Quartz schedule'], ['backupIntervalHours', 'Hours after the last']];
const NEW_KEY = { serverId: '', accountPolicyName: '', plan: 'backupSchedule', backupSchedule: '', backupIntervalHours: '24', timezone: READERS_ZONE };
const SIGNALS = { start: ['new', 'A backup has started'], success: ['good', 'Success'], partial: ['slow', 'Partial success'], fail: ['bad', 'Failure'] };
const STATUSES = { SUCCESS: ['good', 'Success'], PARTIAL_SUCCESS: ['slow', 'Partial success'], FAILED: ['bad', 'Failed'], CANCELLED: ['off', 'Cancelled'] };

const snippet = (url) => `#!/bin/sh
url='${url}'
rid=$(date +%s)-$$
log=$(mktemp)
curl -fsS -m 10 --retry 5 -o /dev/null "$url/start?rid=$rid"
your-backup-command >"$log" 2>&1
status=$?
tail -c 4096 "$log" | curl -fsS -m 10 --retry 5 -o /dev/null --data-binary @- "$url/$status?rid=$rid"
rm -f "$log"
exit $status`;

/** The texts that are shown with a new URL. */
function urlBox(url, onKept) {
  return shownOnce(url, onKept, {
    title: 'Keep this ping URL now. It is not shown again.', label: 'New ping URL', called: 'URL',
    more: [h('details', { open: true }, h('summary', {}, 'For cron, with curl'),
      h('pre', { tabindex: 0, role: 'region', 'aria-label': 'Script' }, snippet(url)))],
  });
}

/** The form of a new ping URL. */
class NewPingUrl {
  /** @param {{made: (key: object) => void, make: (wanted: object) => Promise<object>}} context */
  constructor({ make, made }) {
    Object.assign(this, { make, made });
    const text = (placeholder) => h('input', { autocomplete: 'off', spellcheck: 'false', placeholder, oninput: () => this.changed() });
    this.fields = {
      serverId: field('Server name', text('fileserver')),
      accountPolicyName: field('Policy name', text('Nightly restic')),
      plan: field('A backup is expected', select(PLANS, null, { onchange: () => this.changed() })),
      backupSchedule: field('Quartz cron expression', text('0 0 1 * * ?')),
      backupIntervalHours: field('Hours', h('input', { type: 'number', min: 1, max: 8784, step: 1, inputmode: 'numeric', oninput: () => this.changed() })),
    };
    const zone = zoneField(() => this.changed());
    this.fields.timezone = zone.field;
    this.button = h('button', { class: 'primary' }, 'Make a ping URL');
    this.outcome = h('span', { role: 'status', class: 'outcome' });
    const id = uniqueId('new-ping');
    this.node = h('form', { class: 'new-ping', novalidate: true, 'aria-labelledby': id, onsubmit: (event) => { event.preventDefault(); this.submit(); } },
      h('h3', { id }, 'For a script of yours'),
      h('div', { class: 'ping-fields' }, Object.values(this.fields).map(({ node }) => node), zone.list),
      h('div', { class: 'card-foot' }, this.outcome, this.button));
    this.show(NEW_KEY);
  }

  show(draft) {
    for (const [name, { control }] of Object.entries(this.fields)) control.value = draft[name];
    this.changed();
  }

  draft() {
    return Object.fromEntries(Object.entries(this.fields).map(([name, { control }]) => [name, control.value.trim()]));
  }

  isDirty() {
    return JSON.stringify(this.draft()) !== JSON.stringify(NEW_KEY);
  }

  changed() {
    this.outcome.textContent = '';
    const bySchedule = this.fields.plan.control.value === 'backupSchedule';
    this.fields.backupSchedule.node.hidden = !bySchedule;
    this.fields.timezone.node.hidden = !bySchedule;
    this.fields.backupIntervalHours.node.hidden = bySchedule;
  }

  /** Returns the draft in the form that the service accepts. */
  request() {
    const { serverId, accountPolicyName, plan, backupSchedule, backupIntervalHours, timezone } = this.draft();
    const when = plan === 'backupSchedule' ? { backupSchedule, timezone } : { backupIntervalHours: Number(backupIntervalHours) };
    return { serverId, accountPolicyName, ...when };
  }

  async submit() {
    if (!isAvailable(this.button)) return;
    for (const part of Object.values(this.fields)) part.complain(null);
    setAvailable(this.button, false);
    this.outcome.textContent = 'Making a ping URL…';
    try {
      const key = await this.make(this.request());
      this.show(NEW_KEY);
      this.made(key);
    } catch (error) {
      this.explain(error);
    } finally {
      setAvailable(this.button, true);
    }
  }

  explain(error) {
    const wrong = error.errors?.map(({ field: name, reason }) => ({ part: this.fields[name], reason })) ?? [];
    for (const { part, reason } of wrong) part?.complain(reason);
    const first = wrong.find(({ part }) => part);
    this.outcome.textContent = first ? 'Not made: see the marked fields.' : `Not made: ${error.message}`;
    first?.part.control.focus();
  }
}

function lastPing({ lastPingAt, lastSignal }) {
  if (!lastPingAt) return ['None yet'];
  return [h('time', { datetime: lastPingAt, title: utcTime(lastPingAt) }, shortTime(lastPingAt)), ' ', stateMark(...(SIGNALS[lastSignal] ?? ['new', lastSignal]))];
}

const plan = ({ backupSchedule, backupIntervalHours, timezone }) => (
  backupSchedule ? [h('code', {}, backupSchedule), ` (Quartz cron, ${timezone})`] : [`${counted(backupIntervalHours, 'hour')} after the end`]);

function outputEntry({ status, finishedAt, output }) {
  const when = shortTime(finishedAt);
  return h('li', {}, h('p', {}, h('time', { datetime: finishedAt, title: utcTime(finishedAt) }, when), ' ', stateMark(...STATUSES[status])),
    h('pre', { tabindex: 0, role: 'region', 'aria-label': `Output of ${when}` }, output));
}

/** The panel "Ping URLs": the keys of the account, the form of a new one, and the backup outputs. */
export class PingUrls {
  /** @param {{account: string, signal: AbortSignal}} context */
  constructor({ account, signal }) {
    Object.assign(this, { account, signal, busy: false });
    const id = uniqueId('pings');
    this.oncePlace = h('div', {});
    this.place = h('div', {});
    this.form = new NewPingUrl({ make: (wanted) => this.make(wanted), made: (key) => this.made(key) });
    this.outcome = h('p', { role: 'status', class: 'outcome' });
    this.title = h('h2', { id }, 'Ping URLs');
    this.node = h('section', { class: 'panel', 'aria-labelledby': id }, this.title,
      h('p', { class: 'lead' }, 'For scripts that back up by other means, such as restic or Borg: a call of its URL says how a server’s backup went. One that never comes is a missed backup.'),
      this.oncePlace, this.place, this.outcome, this.form.node);
    this.refresh();
  }

  refresh() {
    return loadInto(this.place, { called: 'ping URLs', signal: this.signal }, async () => {
      const { items, mostPingKeys } = await readPingKeys(this.account, this.signal);
      this.form.node.hidden = items.length >= mostPingKeys;
      return items.length === 0 ? [h('p', { class: 'empty' }, 'No ping URLs yet.')] : [h('ul', { class: 'servers' }, items.map((key) => this.card(key)))];
    });
  }

  card(key) {
    const id = uniqueId('ping');
    const facts = [['Last ping', lastPing(key)], ['Schedule', plan(key)]];
    return h('li', { class: 'server', 'aria-labelledby': id },
      h('div', { class: 'card-head' }, h('h3', { id }, key.serverId), button('Revoke', () => this.revoke(key), { class: 'quiet', 'aria-describedby': id })),
      h('p', { class: 'lead' }, key.accountPolicyName),
      h('dl', { class: 'facts' }, facts.map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value)))),
      this.outputs(key));
  }

  outputs({ serverPolicyId }) {
    const place = h('div', {});
    const read = async () => {
      const { items } = await readOutputs(this.account, serverPolicyId, this.signal);
      return items.length === 0 ? [h('p', { class: 'empty' }, 'No backup of the last 30 days has sent its output.')] : [h('ol', { class: 'outputs' }, items.map(outputEntry))];
    };
    return h('details', { ontoggle: ({ target }) => target.open && loadInto(place, { called: 'outputs', signal: this.signal }, read) },
      h('summary', {}, 'Output of the last backups'), place);
  }

  async make(wanted) {
    this.busy = true;
    try {
      return await makePingKey(this.account, wanted);
    } finally {
      this.busy = false;
    }
  }

  made({ url }) {
    this.outcome.textContent = '';
    this.oncePlace.replaceChildren(urlBox(url, () => {
      this.oncePlace.replaceChildren();
      focusOn(this.title);
    }));
    this.oncePlace.querySelector('input').focus();
    this.refresh();
  }

  async revoke(key) {
    const text = `${key.serverId}, ${key.accountPolicyName}: a script that still calls the URL is refused, and its backups are expected no more.`;
    if (!await ask({ title: 'Revoke this ping URL?', text, yes: 'Revoke' })) return;
    this.outcome.textContent = 'Revoking…';
    try {
      await revokePingKey(this.account, key.pingKeyId);
      this.outcome.textContent = 'Revoked.';
      focusOn(this.title);
      await this.refresh();
    } catch (error) {
      this.outcome.textContent = `Not revoked: ${error.message}`;
    }
  }

  /** Returns whether a URL is being made, or is shown that the reader has not confirmed to have kept. */
  holdsSecret() {
    return this.busy || this.oncePlace.hasChildNodes();
  }

  /** Returns the draft to keep during a sign-in, or null if nothing was typed. */
  stash() {
    return this.form.isDirty() ? this.form.draft() : null;
  }
}
