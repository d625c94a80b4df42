import { readDailyResults, readServerPolicies } from './api.js';
import { dailyChart, dayStrip, troubledDays } from './chart.js';
import { field, h, loadInto, stateMark, uniqueId } from './dom.js';
import { counted, shortTime, timeOnBothClocks, utcTime } from './format.js';
import { PagedPanel } from './paged.js';
import { PingUrls } from './ping_urls.js';

const STATES = {
  inactive: ['off', 'Inactive'], unfinished: ['missed', 'Unfinished'], missed: ['missed', 'Missed'], stale: ['missed', 'Stale'],
  failed: ['bad', 'Failed'], late: ['slow', 'Late'], running: ['new', 'Running'], partial: ['slow', 'Partial'],
  cancelled: ['off', 'Cancelled'], unwatched: ['off', 'Not watched'], ok: ['good', 'OK'], unknown: ['new', 'No backup heard of yet'],
};
const RESULTS = { SUCCESS: 'succeeded', PARTIAL_SUCCESS: 'partly succeeded', FAILED: 'failed', CANCELLED: 'was cancelled' };
const TYPING_PAUSE_MS = 300;

const clock = (iso, words) => h('time', { datetime: iso, title: utcTime(iso) }, words);

const shortClock = (iso) => clock(iso, shortTime(iso));

function lastBackup({ lastStartedAt, lastFinishedAt, lastStatus, runningSince, unfinishedSince }) {
  // An open run has a line of its own.
  const isOpen = Boolean(runningSince ?? unfinishedSince);
  if (!isOpen && lastStartedAt && (!lastFinishedAt || lastStartedAt > lastFinishedAt)) return ['Started ', shortClock(lastStartedAt), ', not finished yet'];
  if (!lastFinishedAt) return [isOpen ? 'None has finished yet' : 'None yet'];
  return [shortClock(lastFinishedAt), `, ${RESULTS[lastStatus] ?? lastStatus ?? 'result unknown'}`];
}

/** Returns the times that a state is about, as far as they are known. */
function since({ runningSince, unfinishedSince, staleSince, lastSuccessAt, lastStatus }) {
  return [
    ['Running since', runningSince], ['Unfinished since', unfinishedSince], ['No success since', staleSince],
    ['Last success', !staleSince && lastStatus !== 'SUCCESS' && lastSuccessAt],
  ].filter(([, iso]) => iso).map(([term, iso]) => [term, [shortClock(iso)]]);
}

function nextBackup({ nextExpectedAt, timezone, scheduleProblem, watched }) {
  if (!nextExpectedAt) {
    const reason = watched ? scheduleProblem : 'a person has stopped watching it';
    return [reason ? `None is expected: ${reason}` : 'None'];
  }
  const { there, zone, here } = timeOnBothClocks(nextExpectedAt, timezone);
  return [clock(nextExpectedAt, `${there} (${zone})`), here && h('span', { class: 'second-line' }, `${here} your time`)];
}

function schedule({ backupSchedule, backupIntervalHours, timezone }) {
  if (backupSchedule) return [h('code', {}, backupSchedule), ` (Quartz cron, ${timezone ?? 'UTC'})`];
  return backupIntervalHours ? [`every ${backupIntervalHours} h after the end`] : ['None'];
}

function serverCard(server) {
  const id = uniqueId('server');
  const facts = [['Last backup', lastBackup(server)], ...since(server), ['Next expected', nextBackup(server)], ['Schedule', schedule(server)]];
  return h('li', { class: 'server', 'aria-labelledby': id },
    h('div', { class: 'card-head' }, h('h3', { id, tabindex: -1 }, server.serverId), stateMark(...(STATES[server.state] ?? ['new', server.state]))),
    h('p', { class: 'lead' }, `${server.accountPolicyName} · ${server.storageRegion}`),
    h('dl', { class: 'facts' }, facts.map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value)))),
    dayStrip(server.days), troubledDays(server.days));
}

class ServerList extends PagedPanel {
  constructor(context) {
    super({ ...context, called: 'servers' });
    this.search = field('Server name contains', h('input', { type: 'search', autocomplete: 'off', spellcheck: 'false', oninput: () => this.searchSoon() }));
    const form = h('form', { role: 'search', class: 'filter', onsubmit: (event) => { event.preventDefault(); this.refresh(); } },
      this.search.node, h('button', {}, 'Search'));
    this.list = h('ul', { class: 'servers' });
    const id = uniqueId('servers');
    this.node = h('section', { class: 'panel', 'aria-labelledby': id }, h('h2', { id }, 'Servers'), form, this.place, this.list, this.foot);
  }

  searchSoon() {
    this.moreButton.hidden = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh(), TYPING_PAUSE_MS);
  }

  ask(cursor) {
    clearTimeout(this.timer);
    return readServerPolicies(this.account, { server: this.search.control.value.trim(), cursor }, this.signal);
  }

  clear() {
    this.list.replaceChildren();
    this.moreButton.hidden = true;
  }

  show({ items, next, byBeginning }) {
    const cards = items.map(serverCard);
    this.list.append(...cards);
    const shown = this.list.childElementCount;
    this.list.hidden = shown === 0;
    const searched = byBeginning ? ' This account has more than 5,000 servers: only names that begin so, in that case, are found.' : '';
    const nothing = this.search.control.value.trim() ? `No server has such a name.${searched}` : 'No servers with a backup policy yet.';
    this.place.replaceChildren(...(shown === 0 && !next ? [h('p', { class: 'empty' }, nothing)] : []));
    this.reach.textContent = shown ? `${counted(shown, 'server policy', 'server policies')} shown.${searched}` : '';
    return cards[0]?.querySelector('h3');
  }
}

function resultsPanel({ account, signal }) {
  const place = h('div', { class: 'chart-place' });
  loadInto(place, { called: 'results', signal }, async () => [dailyChart((await readDailyResults(account, signal)).items)]);
  const id = uniqueId('results');
  return h('section', { class: 'panel', 'aria-labelledby': id }, h('h2', { id }, 'The last 30 days'),
    h('p', { class: 'lead' }, 'Backups of all servers. Days are UTC.'), place);
}

/**
 * The view "Servers".
 * @param {{account: string, signal: AbortSignal, stash: ?object, onRestored: () => void}} context
 */
export function serversView({ stash, onRestored, ...context }) {
  const servers = new ServerList(context);
  const results = resultsPanel(context);
  const pings = new PingUrls(context);
  if (stash) pings.form.show(stash);
  onRestored();
  servers.refresh();
  return {
    node: h('div', { class: 'stack' }, results, servers.node, pings.node),
    isUnsettled: () => pings.form.isDirty() || pings.holdsSecret(), holdsSecret: () => pings.holdsSecret(), stash: () => pings.stash(),
  };
}
