import { button, h } from './dom.js';
import { SavedForm } from './saved_form.js';

/**
 * A form with rows that are added, removed, and saved together. A subclass has `newRow(stored, draft)`. A row has a `node`, a
 * `removeButton`, `isBlank()`, `number(position)`, `focus()`, `forgive()`, and `firstGap(above)`, which returns a control to correct.
 */
export class RowsForm extends SavedForm {
  /** @param {{called: string, signal: AbortSignal, mostRows: number, addLabel: string}} context */
  constructor({ called, signal, mostRows, addLabel }) {
    super({ called, signal });
    this.mostRows = mostRows;
    this.rows = [];
    this.rowPlace = h('div', { class: 'rows' });
    this.addButton = button(addLabel, () => this.add());
  }

  place() {
    // An empty form has one empty row.
    if (this.rows.length === 0) this.rows.push(this.newRow(null));
    this.rowPlace.replaceChildren(...this.rows.map((row) => row.node));
    this.rows.forEach((row, index) => {
      row.number(index + 1);
      row.removeButton.hidden = false;
    });
    this.reflect();
  }

  filledRows() {
    return this.rows.filter((row) => !row.isBlank());
  }

  reflect() {
    super.reflect();
    this.addButton.hidden = this.rows.length >= this.mostRows;
    if (this.rows.length === 1) this.rows[0].removeButton.hidden = this.rows[0].isBlank();
  }

  add() {
    const row = this.newRow(null);
    this.rows.push(row);
    this.place();
    row.focus();
  }

  remove(row) {
    const index = this.rows.indexOf(row);
    this.rows.splice(index, 1);
    this.place();
    this.rows[Math.min(index, this.rows.length - 1)].focus();
    this.outcome.textContent = row.stored ? 'Removed here. Save to make it so.' : '';
  }

  firstGap() {
    return this.filledRows().map((row, index, rows) => row.firstGap(rows.slice(0, index))).find(Boolean);
  }

  forgive() {
    super.forgive();
    this.rows.forEach((row) => row.forgive());
  }

  setSaving(saving) {
    super.setSaving(saving);
    this.addButton.disabled = saving;
  }
}
