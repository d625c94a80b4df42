import { button, h, uniqueId } from './dom.js';

/**
 * Returns a text that is shown only once, to be copied and kept.
 * @param {string} text
 * @param {() => void} onKept called when the reader says that it is kept
 * @param {{title: string, label: string, called: string, more?: Node[]}} words `called`: such as "secret"; `more`: the nodes below
 */
export function shownOnce(text, onKept, { title, label, called, more = [] }) {
  const id = uniqueId('secret');
  const value = h('input', { readonly: true, id: `${id}-value`, value: text, spellcheck: 'false', onfocus: () => value.select() });
  const copied = h('span', { role: 'status', class: 'outcome' });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      copied.textContent = 'Copied';
    } catch {
      value.focus();
      copied.textContent = `Not copied: the ${called} is selected, copy it from there.`;
    }
  };
  return h('div', { class: 'secret', role: 'group', 'aria-labelledby': id },
    h('p', { id, class: 'secret-title' }, title), h('label', { for: `${id}-value` }, label), value,
    h('div', { class: 'actions' }, button('Copy', copy), button('I have kept it', onKept), copied), more);
}
