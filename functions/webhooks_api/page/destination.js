import { readPreview } from './api.js';
import { failureNote, field, h, loadingNote, select } from './dom.js';
import { pretty } from './format.js';
import { formatFor, keyOf, labelOf } from './formats.js';

const USUAL_FORMAT = 'text';

/** The fields of a target's format and of the key that it may need, and a preview of the body. */
export class Destination {
  /** @param {{account: string, event: string, formats: string[], changed: () => void}} context */
  constructor({ account, event, formats, changed }) {
    Object.assign(this, { account, event });
    const chosen = () => {
      this.isChosen = true;
      this.announcement.textContent = '';
      changed();
    };
    this.format = field('Format', select(formats.map((format) => [format, labelOf(format)]), null, { onchange: chosen }));
    this.key = field('Key', h('input', { autocomplete: 'off', spellcheck: 'false', oninput: changed }), { hint: ' ', className: 'key' });
    this.keyLabel = this.key.node.querySelector('label');
    this.keyHint = this.key.node.querySelector('.hint');
    this.announcement = h('p', { class: 'hint', role: 'status' });
    this.previewPlace = h('div', {});
    this.preview = h('details', { ontoggle: () => this.showPreview() }, h('summary', {}, 'Preview of the body'), this.previewPlace);
  }

  /** Shows the stored or typed values. `isNew`: the target is not saved yet, so its format may follow the URL. */
  adopt({ format, destinationKey }, isNew) {
    this.format.control.value = format;
    this.key.control.value = destinationKey ?? '';
    this.isChosen = !isNew || format !== USUAL_FORMAT;
    this.announcement.textContent = '';
  }

  /** Returns the typed values. The key is null if the stored one is to stay. */
  draft() {
    const format = this.format.control.value;
    return { format, destinationKey: (keyOf(format) && this.key.control.value.trim()) || null };
  }

  /** Chooses the format by the URL's host, until the reader has chosen one. */
  follow(url) {
    if (this.isChosen) return;
    const format = formatFor(url) ?? USUAL_FORMAT;
    if (format === this.format.control.value) return;
    this.format.control.value = format;
    this.announcement.textContent = format === USUAL_FORMAT ? '' : `By its URL this is ${labelOf(format)}: its format is chosen.`;
  }

  /** Shows the fields of the format. `stored`: the target, if any, whose key stays if none is typed. */
  reflect(stored) {
    const { format } = this.draft();
    const key = keyOf(format);
    this.key.node.hidden = !key;
    if (key) {
      this.keyLabel.textContent = key.label;
      this.keyHint.textContent = key.hint;
      this.key.control.placeholder = this.isStored(stored) ? 'as stored' : '';
    }
    if (this.preview.open && this.shown !== format) this.showPreview();
  }

  isStored(stored) {
    return Boolean(stored?.hasDestinationKey) && stored.format === this.format.control.value;
  }

  forgive() {
    this.format.complain(null);
    this.key.complain(null);
  }

  /** Returns the control to correct, of those that can be checked without the service, or null. */
  firstGap(stored) {
    const { format, destinationKey } = this.draft();
    const key = keyOf(format);
    if (!key || destinationKey || this.isStored(stored)) return null;
    this.key.complain(stored?.hasDestinationKey ? `Type the ${key.label.toLowerCase()} again.` : `Type the ${key.label.toLowerCase()}.`);
    return this.key.control;
  }

  async showPreview() {
    if (!this.preview.open) return;
    const { format } = this.draft();
    this.shown = format;
    this.previewPlace.replaceChildren(loadingNote('Loading the preview…'));
    try {
      const preview = await readPreview(this.account, this.event, format);
      if (this.shown === format) this.previewPlace.replaceChildren(...previewNodes(preview));
    } catch (error) {
      if (this.shown === format) this.previewPlace.replaceChildren(failureNote(error.message, () => this.showPreview()));
    }
  }
}

function previewNodes({ format, contentType, body }) {
  const key = keyOf(format);
  const words = `What a test of this event posts as ${labelOf(format)}, under content-type ${contentType}.`;
  return [
    h('p', { class: 'hint' }, key ? `${words} The ${key.label.toLowerCase()} takes the place of ***.` : words),
    h('pre', { tabindex: 0, role: 'group', 'aria-label': `Preview, ${labelOf(format)}` }, pretty(body)),
  ];
}
