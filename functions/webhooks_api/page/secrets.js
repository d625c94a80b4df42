import { rotateSecret } from './api.js';
import { ask, button, field, h, isAvailable, setAvailable } from './dom.js';
import { counted, shortTime } from './format.js';
import { shownOnce } from './shown_once.js';

const USUAL_OVERLAP_HOURS = 24;
const MOST_OVERLAP_HOURS = 168;
// RFC 9110: a token.
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]{1,100}$/;

/**
 * Returns a new signing secret, which is shown only once.
 * @param {string} secret
 * @param {() => void} onKept called when the reader says that it is kept
 */
export const secretBox = (secret, onKept) => shownOnce(secret, onKept, {
  title: 'Keep this signing secret now. It is not shown again.', label: 'New signing secret', called: 'secret',
});

/** The signing secrets of a stored target: the number of current ones, and the form of a new one. */
export class SigningSecrets {
  /**
   * @param {{account: string, event: string, onSecret: (secret: string, secrets: {expiresAt: ?string}[]) => void}} context
   */
  constructor(context) {
    this.context = context;
    this.busy = false;
    this.current = h('p', {});
    this.hours = field('Hours for which older secrets still sign', h('input', {
      type: 'number', min: 0, max: MOST_OVERLAP_HOURS, step: 1, value: USUAL_OVERLAP_HOURS, inputmode: 'numeric',
      onkeydown: (event) => {
        if (event.key !== 'Enter') return;
        event.preventDefault(); // Enter here makes a secret, and does not save the targets.
        this.rotate();
      },
    }), { className: 'narrow' });
    this.button = button('Rotate secret', () => this.rotate());
    this.outcome = h('p', { role: 'status', class: 'outcome' });
    this.node = h('div', { class: 'more-part' }, h('h3', {}, 'Signing secrets'), this.current,
      h('div', { class: 'inline' }, this.hours.node, this.button), this.outcome);
  }

  /** Shows the secrets of a stored target; null hides the part. */
  show(target) {
    this.target = target;
    this.node.hidden = !target;
    if (!target) return;
    const older = target.secrets.filter(({ expiresAt }) => expiresAt);
    this.current.textContent = older.length === 0
      ? `${counted(target.secrets.length, 'secret')} in use. Each delivery is signed with it (header webhook-signature).`
      : `${counted(target.secrets.length, 'secret')} in use. Older ones sign until ${older.map(({ expiresAt }) => shortTime(expiresAt)).join(', ')}.`;
  }

  async rotate() {
    if (!isAvailable(this.button)) return;
    const hours = Number(this.hours.control.value);
    const usable = this.hours.control.value !== '' && Number.isInteger(hours) && hours >= 0 && hours <= MOST_OVERLAP_HOURS;
    this.hours.complain(usable ? null : `Whole hours from 0 to ${MOST_OVERLAP_HOURS}.`);
    if (!usable) {
      this.hours.control.focus();
      return;
    }
    const text = hours === 0
      ? `${this.target.targetUri}: older secrets stop signing at once. Deliveries fail your check until your endpoint knows the new secret.`
      : `${this.target.targetUri}: deliveries are signed with the new secret and, for ${counted(hours, 'hour')} more, with the older ones.`;
    if (await ask({ title: 'Make a new signing secret?', text, yes: 'Make a new secret' })) await this.make(hours);
  }

  async make(hours) {
    setAvailable(this.button, false);
    this.busy = true;
    this.outcome.textContent = 'Making a new secret…';
    const { account, event, onSecret } = this.context;
    try {
      const { secret, secrets } = await rotateSecret(account, event, this.target.targetId, hours);
      this.show({ ...this.target, secrets });
      this.outcome.textContent = 'A new secret has been made.';
      onSecret(secret, secrets);
    } catch (error) {
      const about = error.errors?.[0]?.reason;
      this.outcome.textContent = `No new secret: ${about ?? error.message}`;
    } finally {
      this.busy = false;
      setAvailable(this.button, true);
    }
  }
}

/** The custom headers of a target. Stored values are not known here: an empty value means "as stored". */
export class CustomHeaders {
  /** @param {() => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    this.rows = [];
    this.list = h('div', { class: 'headers' });
    this.addButton = button('Add header', () => {
      this.add('', null, false).name.control.focus();
      onChange();
    });
    this.node = h('div', { class: 'more-part' }, h('h3', {}, 'Custom headers'), this.list, this.addButton);
  }

  /**
   * @param {[string, ?string][]} pairs name and value; null is a stored value
   * @param {string[]} storedNames
   */
  show(pairs, storedNames) {
    this.rows = [];
    this.list.replaceChildren();
    for (const [name, value] of pairs) this.add(name, value, storedNames.includes(name));
  }

  add(name, value, isStored) {
    const nameField = field('Header name', h('input', {
      value: name, readonly: isStored, autocomplete: 'off', spellcheck: 'false', oninput: this.onChange,
    }));
    const valueField = field('Header value', h('input', {
      value: value ?? '', placeholder: isStored ? 'as stored' : null, autocomplete: 'off', spellcheck: 'false', oninput: this.onChange,
    }));
    const row = { name: nameField, value: valueField, isStored };
    row.node = h('div', { class: 'header-row', role: 'group', 'aria-label': name ? `Header ${name}` : 'New header' },
      nameField.node, valueField.node, button('Remove header', () => this.remove(row)));
    this.rows.push(row);
    this.list.append(row.node);
    return row;
  }

  remove(row) {
    this.rows = this.rows.filter((other) => other !== row);
    row.node.remove();
    this.addButton.focus();
    this.onChange();
  }

  /** Returns name and value of each header; null for a stored value that is to stay. Empty rows are left out. */
  pairs() {
    return this.rows
      .map(({ name, value, isStored }) => [name.control.value.trim(), isStored && value.control.value === '' ? null : value.control.value])
      .filter(([name, value]) => name || value);
  }

  /** Shows a reason at a header. Returns its control, if there is such a header. */
  complain(headerName, reason) {
    const row = this.rows.find(({ name }) => name.control.value.trim() === headerName);
    row?.value.complain(reason);
    return row?.value.control;
  }

  forgive() {
    for (const { name, value } of this.rows) [name, value].forEach((part) => part.complain(null));
  }

  /**
   * Shows the first error that can be found without the service.
   * @param {boolean} isNewTarget stored values belong to another target, and are not copied
   * @returns {?HTMLElement} the control to correct
   */
  firstGap(isNewTarget) {
    const seen = new Set();
    for (const { name, value, isStored } of this.rows) {
      const key = name.control.value.trim().toLowerCase();
      const isEmpty = value.control.value === '';
      if (!key && isEmpty) continue;
      const complain = (part, reason) => {
        part.complain(reason);
        return part.control;
      };
      if (!HEADER_NAME.test(key)) return complain(name, 'A name is 1 to 100 letters, digits and !#$%&\'*+-.^_`|~');
      if (seen.has(key)) return complain(name, 'Given twice; upper and lower case make no difference.');
      if (isEmpty && isNewTarget) return complain(value, isStored ? 'Type the value again: the URL is new.' : 'Type a value.');
      seen.add(key);
    }
    return null;
  }
}
