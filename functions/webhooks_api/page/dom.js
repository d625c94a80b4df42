const SVG_NAMESPACE = 'http://www.w3.org/2000/svg';
let lastNumber = 0;

/** Returns an id that is unique on the page. */
export const uniqueId = (prefix) => `${prefix}-${(lastNumber += 1)}`;

/**
 * Returns an HTML element. Attributes that are null, undefined or false are left out, and `on…` are listeners. Children
 * are elements or texts, never markup.
 * @param {string} tag
 * @param {Object<string, any>} [attributes]
 * @param {...(Node|string|number|null|false|Array)} children
 */
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

/** Returns an SVG element, like `h`. */
export const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG_NAMESPACE, tag), attributes, children);

const isGiven = (value) => value !== null && value !== undefined && value !== false;

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (!isGiven(value)) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter(isGiven));
  return element;
}

const SHAPES = {
  good: 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1m3.6 5.3-4 5a.9.9 0 0 1-1.3.1L4.2 9.3l1.2-1.3 1.4 1.3 3.4-4.2z',
  slow: 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1m0 1.7a5.3 5.3 0 1 1 0 10.6A5.3 5.3 0 0 1 8 2.7M7.2 4.5v4l3 1.8.8-1.3-2.2-1.3V4.5z',
  bad: 'M8 1.2 15.3 14.5H.7zM7.1 6l.3 4.2h1.2L8.9 6zM7.1 11.2v1.7h1.8v-1.7z',
  off: 'M3 1h10a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H3a2 2 0 0 1-2-2V3a2 2 0 0 1 2-2m1.5 6v2h7V7z',
  missed: 'M8 .8 15.2 8 8 15.2.8 8zM8 3.2 3.2 8 8 12.8 12.8 8z',
  new: 'M7 1h2v2H7zm0 12h2v2H7zM1 7h2v2H1zm12 0h2v2h-2zM3 3h2v2H3zm8 0h2v2h-2zm-8 8h2v2H3zm8 0h2v2h-2z',
};

/**
 * Returns a state as shape, colour and words, so that it never depends on colour alone.
 * @param {'good'|'slow'|'bad'|'off'|'missed'|'new'} kind
 * @param {string} words
 */
export function stateMark(kind, words) {
  return h('span', { class: `state state-${kind}` },
    svg('svg', { viewBox: '0 0 16 16', width: 14, height: 14, 'aria-hidden': 'true' },
      svg('path', { d: SHAPES[kind], 'fill-rule': 'evenodd' })),
    h('span', {}, words));
}

/** Returns a button that does not submit. */
export const button = (label, onclick, attributes) => h('button', { type: 'button', onclick, ...attributes }, label);

/** Returns a select. `options` are pairs of value and label. */
export function select(options, value, attributes) {
  const element = h('select', attributes, options.map(([key, words]) => h('option', { value: key }, words)));
  if (isGiven(value)) element.value = value;
  return element;
}

/**
 * Returns a control under its label, with a place for an error.
 * @returns {{node: HTMLElement, control: HTMLElement, complain: (reason: ?string) => void}}
 */
export function field(label, control, { hint, className = '' } = {}) {
  control.id ||= uniqueId('field');
  const trouble = h('p', { class: 'trouble', id: `${control.id}-trouble`, hidden: true });
  const advice = hint && h('p', { class: 'hint', id: `${control.id}-hint` }, hint);
  if (advice) control.setAttribute('aria-describedby', advice.id);
  const complain = (reason) => {
    trouble.hidden = !reason;
    trouble.textContent = reason ?? '';
    control.toggleAttribute('aria-invalid', Boolean(reason));
    if (reason) control.setAttribute('aria-invalid', 'true');
    const described = [reason && trouble.id, advice?.id].filter(Boolean).join(' ');
    if (described) control.setAttribute('aria-describedby', described);
    else control.removeAttribute('aria-describedby');
  };
  const node = h('div', { class: `field ${className}` }, h('label', { for: control.id }, label), control, advice, trouble);
  return { node, control, complain };
}

/** Makes a button available or unavailable without taking the focus from it. */
export function setAvailable(element, available) {
  element.setAttribute('aria-disabled', String(!available));
}

/** Returns whether `setAvailable` has left the button available. */
export const isAvailable = (element) => element.getAttribute('aria-disabled') !== 'true';

/** Returns the note that is shown during loading. */
export const loadingNote = (words) => h('p', { class: 'loading', role: 'status' }, words);

/** Returns the note that is shown if loading has failed. */
export const failureNote = (words, retry) => h('div', { class: 'alert', role: 'alert' },
  h('p', {}, words), retry && button('Try again', retry));

/**
 * Fills a place with the nodes that `read` returns. It shows a note during loading, and a button to try again after a failure.
 * @param {HTMLElement} place
 * @param {{called: string, signal: AbortSignal}} what
 * @param {() => Promise<Node[]>} read
 */
export async function loadInto(place, { called, signal }, read) {
  place.replaceChildren(loadingNote(`Loading the ${called}…`));
  place.setAttribute('aria-busy', 'true');
  try {
    place.replaceChildren(...await read());
  } catch (error) {
    if (signal.aborted) return;
    place.replaceChildren(failureNote(`The ${called} could not be loaded. ${error.message}`, () => loadInto(place, { called, signal }, read)));
  }
  place.setAttribute('aria-busy', 'false');
}

/**
 * Asks the reader before an action that cannot be undone.
 * @param {{title: string, text: string, yes: string, no?: string}} question
 * @returns {Promise<boolean>}
 */
export function ask({ title, text, yes, no = 'Cancel' }) {
  return new Promise((resolve) => {
    const id = uniqueId('question');
    const dialog = h('dialog', { 'aria-labelledby': id, 'aria-describedby': `${id}-text` },
      h('h2', { id }, title), h('p', { id: `${id}-text` }, text),
      h('div', { class: 'actions' },
        button(no, () => dialog.close(), { autofocus: true }),
        button(yes, () => dialog.close('yes'), { class: 'primary' })));
    dialog.addEventListener('close', () => {
      resolve(dialog.returnValue === 'yes');
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Gives the focus to an element that is not a control, so that a keyboard reader goes on from there. */
export function focusOn(element, options) {
  if (!element.matches('a, button, input, select, summary')) element.tabIndex = -1;
  element.focus(options);
}
