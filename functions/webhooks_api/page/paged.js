import { button, failureNote, focusOn, h, isAvailable, loadingNote, setAvailable } from './dom.js';

/** A panel with a list that is read page by page. A subclass has `ask`, `show` and `clear`, and its list is `called` so. */
export class PagedPanel {
  /** @param {{account: string, signal: AbortSignal, called: string}} context */
  constructor(context) {
    Object.assign(this, context);
    this.place = h('div', {});
    this.reach = h('p', { class: 'hint', role: 'status' });
    this.moreButton = button('Load more', () => this.loadMore(), { hidden: true });
    this.trouble = h('div', {}); // errors of a further page, beside its button
    this.foot = h('div', {}, this.trouble, h('div', { class: 'list-foot' }, this.reach, this.moreButton));
  }

  /** Reads the first page again. */
  async refresh() {
    if (this.signal.aborted) return;
    // The old cursor does not belong to the new list.
    this.moreButton.hidden = true;
    this.reach.textContent = '';
    // The button that was pressed is about to be removed.
    if (this.place.contains(document.activeElement)) focusOn(this.node.querySelector('h2'));
    this.place.replaceChildren(loadingNote(`Loading the ${this.called}…`));
    this.list.classList.add('stale');
    await this.read(null, () => this.refresh());
  }

  async loadMore() {
    if (!isAvailable(this.moreButton)) return;
    setAvailable(this.moreButton, false);
    const first = await this.read(this.next, () => this.loadMore());
    setAvailable(this.moreButton, true);
    first?.focus();
  }

  /** Reads a page; only the newest request counts. Returns the element that gets the focus in a further page. */
  async read(cursor, again) {
    const question = this.question = Symbol('question');
    const isOutdated = () => this.signal.aborted || question !== this.question;
    this.node.setAttribute('aria-busy', 'true');
    this.trouble.replaceChildren();
    try {
      const page = await this.ask(cursor);
      if (isOutdated()) return null;
      if (!cursor) this.clear();
      this.next = page.next;
      this.moreButton.hidden = !page.next;
      this.list.classList.remove('stale');
      return this.show(page);
    } catch (error) {
      if (isOutdated()) return null;
      if (!cursor) this.clear();
      (cursor ? this.trouble : this.place).replaceChildren(failureNote(`The ${this.called} could not be loaded. ${error.message}`, again));
      return null;
    } finally {
      if (!isOutdated()) this.node.setAttribute('aria-busy', 'false');
    }
  }
}
