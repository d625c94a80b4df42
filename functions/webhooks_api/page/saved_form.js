import { button, focusOn, h, isAvailable, setAvailable } from './dom.js';

/**
 * A form whose contents are saved together, over the version that was read. It shows unsaved changes and errors, and asks the
 * reader if another request has changed the contents in the meantime.
 *
 * A subclass has `node`, `form`, `content` (disabled while it is saved) and `item` (the stored contents with their `etag`). It
 * has `show(item, drafts)`, `drafts()`, `isDirty()`, `put()` and `current()`, which reads the stored contents. `firstGap()` shows
 * an error before the service is asked, and `complain(field, reason)` one afterwards: both return the control.
 */
export class SavedForm {
  /** @param {{called: string, signal: AbortSignal}} context `called`: such as "these targets" */
  constructor({ called, signal }) {
    Object.assign(this, { called, signal, saving: false, freshEtag: null });
    this.mark = h('span', { class: 'unsaved', hidden: true }, 'Unsaved changes');
    this.saveButton = h('button', { class: 'primary' }, 'Save');
    this.discardButton = button('Discard changes', () => this.discard(), { hidden: true });
    this.outcome = h('span', { role: 'status', class: 'outcome' });
    this.trouble = h('div', { role: 'alert', class: 'trouble-place' });
  }

  /** Returns the form. `parts` are above its foot, `more` is in it. */
  buildForm(labelId, parts, more) {
    return h('form', { novalidate: true, 'aria-labelledby': labelId, onsubmit: (event) => { event.preventDefault(); this.save(); } },
      parts, this.trouble, h('div', { class: 'card-foot' }, more, this.outcome, this.discardButton, this.saveButton));
  }

  /** Returns whether changes would be lost if the view were closed. */
  isUnsettled() {
    return this.saving || this.isDirty();
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
  }

  discard() {
    this.show({ ...this.item, etag: this.freshEtag ?? this.item.etag });
    this.freshEtag = null;
    this.outcome.textContent = 'Changes discarded';
    this.focusOnTitle();
  }

  focusOnTitle() {
    focusOn(this.node.querySelector('h2'));
  }

  async save() {
    if (!isAvailable(this.saveButton)) return;
    this.forgive();
    const gap = this.firstGap();
    if (gap) {
      gap.focus();
      return;
    }
    this.setSaving(true);
    try {
      const saved = await this.put();
      this.freshEtag = null;
      this.setSaving(false);
      this.show(saved);
      this.outcome.textContent = 'Saved';
      this.afterSave();
    } catch (error) {
      this.setSaving(false);
      this.explain(error);
    }
  }

  afterSave() {}

  forgive() {
    this.trouble.replaceChildren();
  }

  setSaving(saving) {
    this.saving = saving;
    if (saving && this.content.contains(document.activeElement)) this.saveButton.focus();
    this.content.inert = saving;
    this.discardButton.disabled = saving;
    this.outcome.textContent = saving ? 'Saving…' : '';
    this.reflect();
  }

  explain(error) {
    if (error.status === 409 || error.status === 412) this.showConflict();
    else if (error.errors?.length) this.showErrors(error.errors);
    else this.trouble.replaceChildren(h('p', { class: 'alert' }, `Not saved: ${error.message}`));
  }

  showErrors(errors) {
    const controls = [];
    for (const { field: name, reason } of errors) {
      const control = this.complain(name, reason);
      if (control) controls.push(control);
      else this.trouble.append(h('p', { class: 'alert' }, `Not saved: ${reason}`));
    }
    this.outcome.textContent = controls.length ? 'Not saved: see the marked fields.' : '';
    controls[0]?.focus();
  }

  showConflict() {
    const theirs = button('Load theirs (your changes are lost)', () => this.settle((item) => { this.show(item); this.focusOnTitle(); }));
    const mine = button('Save mine over theirs', () => this.settle((item) => this.saveOver(item)));
    this.trouble.replaceChildren(h('div', { class: 'alert' },
      h('p', {}, `Somebody else has changed ${this.called}.`), h('div', { class: 'actions' }, theirs, mine)));
    theirs.focus();
  }

  async settle(go) {
    try {
      const item = await this.current();
      this.freshEtag = null;
      await go(item);
    } catch (error) {
      if (!this.signal.aborted) this.trouble.append(h('p', {}, error.message));
    }
  }

  /** Saves the contents of the form over the newer stored version. */
  saveOver(item) {
    this.show(item, this.drafts());
    this.saveButton.focus();
    if (this.isDirty()) return this.save();
    this.outcome.textContent = 'It is already as you want it.';
    return null;
  }

  /** Returns the changes to keep during a sign-in, or null if there are none. */
  stash() {
    return this.isDirty() ? { etag: this.item.etag, drafts: this.drafts() } : null;
  }

  /** Restores the kept changes. They keep the older version until they are discarded, so that Save notices another change. */
  restore({ etag, drafts }) {
    this.freshEtag = this.item.etag;
    this.show({ ...this.item, etag }, drafts);
    this.outcome.textContent = 'Your unsaved changes are back.';
  }
}
