import { addTarget, readWebhook, readWebhooks, saveTargets } from './api.js';
import { deliveriesPanel } from './deliveries.js';
import { h, loadInto, uniqueId } from './dom.js';
import { RowsForm } from './rows_form.js';
import { TargetRow, unchanged } from './target.js';

/** The form of an event type's targets, which are saved together. */
class EventCard extends RowsForm {
  constructor(item, { account, mostTargets, signal, onSaved, ...rowContext }) {
    super({ called: 'these targets', signal, mostRows: mostTargets, addLabel: 'Add target' });
    Object.assign(this, { account, onSaved, rowContext, event: item.name, content: this.rowPlace });
    const id = uniqueId('event');
    this.node = h('section', { class: 'panel event', 'aria-labelledby': id },
      h('div', { class: 'card-head' }, h('h2', { id }, item.label), this.mark),
      h('p', { class: 'lead' }, item.description), this.buildForm(id, this.content, this.addButton));
    this.show(item);
  }

  /** Shows the stored targets, over them the drafts, and below them the rows of targets that are not stored yet. */
  show(item, drafts, added = []) {
    this.item = item;
    const targets = item.configuration.targetUris;
    const before = new Map(this.rows.filter((row) => row.stored).map((row) => [row.stored.targetId, row]));
    // A secret that the reader has not confirmed to have kept is known only here.
    for (const target of targets) target.secret ??= before.get(target.targetId)?.stored.secret ?? null;
    this.rows = drafts
      ? drafts.map(({ targetId, draft }) => this.newRow(targets.find((target) => target.targetId === targetId) ?? null, draft))
      : targets.map((target) => before.get(target.targetId)?.adopt(target) ?? this.newRow(target));
    this.rows.push(...added);
    this.trouble.replaceChildren();
    this.place();
  }

  newRow(stored, draft) {
    return new TargetRow({
      ...this.rowContext, account: this.account, event: this.event, label: this.item.label,
      changed: () => this.changed(), remove: (row) => this.remove(row),
    }, stored, draft);
  }

  isDirty() {
    const drafts = this.filledRows().map((row) => row.draft());
    return JSON.stringify(drafts) !== JSON.stringify(this.item.configuration.targetUris.map(unchanged));
  }

  isUnsettled() {
    return super.isUnsettled() || this.holdsSecret();
  }

  holdsSecret() {
    return this.rows.some((row) => row.holdsSecret());
  }

  async put() {
    this.sharedBefore = this.sharesTargets();
    this.adding = null;
    const rows = this.filledRows();
    this.kept = rows.filter((row) => !row.isNew());
    const added = rows.filter((row) => row.isNew());
    // Also without a change of the kept ones: the service compares the version.
    const saved = await saveTargets(this.account, this.event, this.item.etag, this.kept.map((row) => row.request()));
    return added.length === 0 ? saved : this.addAll(added, saved);
  }

  /** Adds new targets, each at once with all its event types. `saved`: the event type as it is without them. */
  async addAll(added, saved) {
    this.freshEtag = null;
    this.show(saved, undefined, added);
    try {
      for (const row of added) {
        this.adding = row;
        row.adopt(await addTarget(this.account, row.request()));
      }
    } catch (error) {
      // Those before this one are stored, and stay.
      this.show(await this.current(), undefined, added.filter((row) => !row.stored));
      this.onSaved(this);
      throw error;
    }
    return this.current();
  }

  afterSave() {
    this.content.querySelector('.secret input')?.focus();
    if (this.sharedBefore || this.sharesTargets()) this.onSaved(this);
  }

  /** Returns whether a target is also of other events. */
  sharesTargets() {
    return this.item.configuration.targetUris.some(({ events }) => events.length > 1);
  }

  complain(name, reason) {
    if (this.adding) return this.adding.complain(name, reason);
    const [, index, where] = /^targetUris\[(\d+)\]\.?(.*)$/.exec(name) ?? [];
    return this.kept[index]?.complain(where, reason);
  }

  current() {
    return readWebhook(this.account, this.event, this.signal);
  }

  drafts() {
    return this.filledRows().map((row) => ({ targetId: row.stored?.targetId ?? null, draft: row.draft() }));
  }
}

/**
 * The view "Webhooks".
 * @param {{account: string, signal: AbortSignal, stash: ?Object<string, object>, onRestored: () => void}} context
 */
export function webhooksView({ account, signal, stash, onRestored }) {
  const cards = new Map();
  const place = h('div', { class: 'stack' });
  loadInto(place, { called: 'webhooks', signal }, async () => {
    const { items, formats, mostTargets } = await readWebhooks(account, signal);
    const labels = Object.fromEntries(items.map(({ name, label }) => [name, label]));
    const roomFor = (event) => mostTargets - targetsOf(cards.get(event)).length;
    const context = { account, formats, labels, mostTargets, signal, onSaved, targetWith, roomFor };
    for (const item of items) cards.set(item.name, new EventCard(item, context));
    for (const [name, kept] of Object.entries(stash ?? {})) cards.get(name)?.restore(kept);
    onRestored();
    return [...cards.values()].map((card) => card.node);
  });
  const every = () => [...cards.values()];
  const targetsOf = (card) => card.item.configuration.targetUris;
  const targetWith = (url) => every().flatMap(targetsOf).find(({ targetUri }) => targetUri === url);
  /** Shows what has changed with a target of several events in the other cards, but not over unsaved changes. */
  async function onSaved(saved) {
    const { items } = await readWebhooks(account, signal).catch(() => ({ items: [] }));
    for (const item of items) {
      const card = cards.get(item.name);
      if (card !== saved && !card.saving && !card.isDirty()) card.show(item);
    }
  }
  return {
    node: h('div', { class: 'stack' }, place, deliveriesPanel({ account, signal })),
    isUnsettled: () => every().some((card) => card.isUnsettled()),
    holdsSecret: () => every().some((card) => card.holdsSecret()),
    stash: () => Object.fromEntries(every().map((card) => [card.event, card.stash()]).filter(([, kept]) => kept)),
  };
}
