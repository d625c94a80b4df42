import { readWebhook, readWebhooks, saveTargets } from './api.js';
import { deliveriesPanel } from './deliveries.js';
import { button, failureNote, focusOn, h, isAvailable, loadingNote, setAvailable, uniqueId } from './dom.js';
import { TargetRow, unchanged } from './target.js';

/** One event with its targets, saved together. */
class EventCard {
  constructor(item, { account, formats, mostTargets, signal }) {
    Object.assign(this, { account, formats, mostTargets, signal, event: item.name, saving: false });
    const id = uniqueId('event');
    this.rowPlace = h('div', { class: 'targets' });
    this.mark = h('span', { class: 'unsaved', hidden: true }, 'Unsaved changes');
    this.addButton = button('Add target', () => this.add());
    this.saveButton = h('button', { class: 'primary' }, 'Save');
    this.discardButton = button('Discard changes', () => this.discard(), { hidden: true });
    this.outcome = h('span', { role: 'status', class: 'outcome' });
    this.trouble = h('div', { role: 'alert', class: 'trouble-place' });
    this.form = h('form', { novalidate: true, 'aria-labelledby': id, onsubmit: (event) => { event.preventDefault(); this.save(); } },
      this.rowPlace, this.trouble,
      h('div', { class: 'card-foot' }, this.addButton, this.outcome, this.discardButton, this.saveButton));
    this.node = h('section', { class: 'panel event', 'aria-labelledby': id },
      h('div', { class: 'card-head' }, h('h2', { id }, item.label), this.mark),
      h('p', { class: 'lead' }, item.description), this.form);
    this.rows = [];
    this.show(item);
  }

  /** Shows what the service has, and over it what had been typed. */
  show(item, drafts) {
    this.item = item;
    const targets = item.configuration.targetUris;
    const before = new Map(this.rows.filter((row) => row.stored).map((row) => [row.stored.targetId, row]));
    // A secret that nobody has said to have kept is told here alone.
    for (const target of targets) target.secret ??= before.get(target.targetId)?.stored.secret ?? null;
    this.rows = drafts
      ? drafts.map(({ targetId, draft }) => new TargetRow(this.context(), targets.find((target) => target.targetId === targetId) ?? null, draft))
      : targets.map((target) => before.get(target.targetId)?.adopt(target) ?? new TargetRow(this.context(), target));
    this.trouble.replaceChildren();
    this.place();
  }

  context() {
    return {
      account: this.account, event: this.event, formats: this.formats,
      changed: () => this.changed(), remove: (row) => this.remove(row),
    };
  }

  place() {
    // An event without targets shows one empty row, ready to type.
    if (this.rows.length === 0) this.rows.push(new TargetRow(this.context(), null));
    this.rowPlace.replaceChildren(...this.rows.map((row) => row.node));
    this.rows.forEach((row, index) => row.number(index + 1, this.item.label));
    this.rows.forEach((row) => { row.removeButton.hidden = this.rows.length === 1 && row.isBlank(); });
    this.reflect();
  }

  filledRows() {
    return this.rows.filter((row) => !row.isBlank());
  }

  isDirty() {
    const wanted = this.filledRows().map((row) => row.draft());
    return JSON.stringify(wanted) !== JSON.stringify(this.item.configuration.targetUris.map(unchanged));
  }

  /** Something would be lost if this were closed. */
  isUnsettled() {
    return this.saving || this.isDirty() || this.rows.some((row) => row.holdsSecret());
  }

  changed() {
    this.outcome.textContent = '';
    this.reflect();
  }

  reflect() {
    const dirty = this.isDirty();
    this.mark.hidden = !dirty;
    this.discardButton.hidden = !dirty;
    setAvailable(this.saveButton, dirty && !this.saving);
    this.addButton.hidden = this.rows.length >= this.mostTargets;
    if (this.rows.length === 1) this.rows[0].removeButton.hidden = this.rows[0].isBlank();
  }

  add() {
    const row = new TargetRow(this.context(), null);
    this.rows.push(row);
    this.place();
    row.url.control.focus();
  }

  remove(row) {
    const index = this.rows.indexOf(row);
    this.rows.splice(index, 1);
    this.place();
    this.rows[Math.min(index, this.rows.length - 1)].url.control.focus();
    this.outcome.textContent = row.stored ? 'Removed here. Save to make it so.' : '';
  }

  discard() {
    this.show(this.item);
    this.outcome.textContent = 'Changes discarded';
    focusOn(this.node.querySelector('h2'));
  }

  async save() {
    if (!isAvailable(this.saveButton)) return;
    this.rows.forEach((row) => row.forgive());
    this.trouble.replaceChildren();
    const rows = this.filledRows();
    const gaps = rows.map((row, index) => row.firstGap(rows.slice(0, index))).filter(Boolean);
    if (gaps.length) {
      gaps[0].focus();
      return;
    }
    this.setSaving(true);
    try {
      const saved = await saveTargets(this.account, this.event, this.item.etag, rows.map((row) => row.request()));
      this.setSaving(false);
      this.show(saved);
      this.outcome.textContent = 'Saved';
      this.rowPlace.querySelector('.secret input')?.focus();
    } catch (error) {
      this.setSaving(false);
      this.explain(error, rows);
    }
  }

  setSaving(saving) {
    this.saving = saving;
    if (saving && this.rowPlace.contains(document.activeElement)) this.saveButton.focus();
    this.rowPlace.inert = saving;
    this.addButton.disabled = saving;
    this.discardButton.disabled = saving;
    this.outcome.textContent = saving ? 'Saving…' : '';
    this.reflect();
  }

  explain(error, rows) {
    if (error.status === 409 || error.status === 412) this.showConflict();
    else if (error.errors?.length) this.showErrors(error.errors, rows);
    else this.trouble.replaceChildren(h('p', { class: 'alert' }, `Not saved: ${error.message}`));
  }

  showErrors(errors, rows) {
    const controls = [];
    for (const { field: name, reason } of errors) {
      const [, index, where] = /^targetUris\[(\d+)\]\.?(.*)$/.exec(name) ?? [];
      const row = rows[index];
      if (row) controls.push(row.complain(where, reason));
      else this.trouble.append(h('p', { class: 'alert' }, `Not saved: ${reason}`));
    }
    this.outcome.textContent = controls.length ? 'Not saved: see the marked fields.' : '';
    controls[0]?.focus();
  }

  showConflict() {
    const theirs = button('Load theirs (your changes are lost)', () => this.settle((item) => { this.show(item); focusOn(this.node.querySelector('h2')); }));
    const mine = button('Save mine over theirs', () => this.settle((item) => this.saveOver(item)));
    this.trouble.replaceChildren(h('div', { class: 'alert' },
      h('p', {}, 'Somebody else has changed these targets.'), h('div', { class: 'actions' }, theirs, mine)));
    theirs.focus();
  }

  async settle(go) {
    try {
      await go(await this.current());
    } catch (error) {
      if (!this.signal.aborted) this.trouble.append(h('p', {}, error.message));
    }
  }

  /** Saves what is seen here over what is there now. */
  saveOver(item) {
    this.show(item, this.drafts());
    this.saveButton.focus();
    if (this.isDirty()) return this.save();
    this.outcome.textContent = 'It is already as you want it.';
    return null;
  }

  current() {
    return readWebhook(this.account, this.event, this.signal);
  }

  /** What is to be carried over a sign-in; null where nothing is unsaved. */
  stash() {
    if (!this.isDirty()) return null;
    return {
      etag: this.item.etag,
      drafts: this.drafts(),
    };
  }

  drafts() {
    return this.filledRows().map((row) => ({ targetId: row.stored?.targetId ?? null, draft: row.draft() }));
  }

  /** Brings back what was carried; the older version stays, so that a change in between is noticed on Save. */
  restore({ etag, drafts }) {
    this.show({ ...this.item, etag }, drafts);
    this.outcome.textContent = 'Your unsaved changes are back.';
  }
}

/**
 * The view "Webhooks".
 * @param {{account: string, signal: AbortSignal, stash: ?Object<string, object>, onRestored: () => void}} context
 */
export function webhooksView({ account, signal, stash, onRestored }) {
  const cards = new Map();
  const place = h('div', { class: 'stack', 'aria-busy': 'true' }, loadingNote('Loading the webhooks…'));
  const load = async () => {
    place.setAttribute('aria-busy', 'true');
    try {
      const { items, formats, mostTargets } = await readWebhooks(account, signal);
      for (const item of items) cards.set(item.name, new EventCard(item, { account, formats, mostTargets, signal }));
      for (const [name, kept] of Object.entries(stash ?? {})) cards.get(name)?.restore(kept);
      place.replaceChildren(...[...cards.values()].map((card) => card.node));
      onRestored();
    } catch (error) {
      if (signal.aborted) return;
      place.replaceChildren(failureNote(`The webhooks could not be loaded. ${error.message}`, () => {
        place.replaceChildren(loadingNote('Loading the webhooks…'));
        load();
      }));
    }
    place.setAttribute('aria-busy', 'false');
  };
  load();
  const every = () => [...cards.values()];
  return {
    title: 'Webhooks',
    node: h('div', { class: 'stack' }, place, deliveriesPanel({ account, signal })),
    isUnsettled: () => every().some((card) => card.isUnsettled()),
    holdsSecret: () => every().some((card) => card.rows.some((row) => row.holdsSecret())),
    stash: () => Object.fromEntries(every().map((card) => [card.event, card.stash()]).filter(([, kept]) => kept)),
  };
}
