import { field, h, uniqueId } from './dom.js';

/**
 * Returns a field for an IANA time zone, which offers the zones that the browser knows.
 * @param {() => void} oninput
 * @param {string} [value]
 * @returns {{field: ReturnType<typeof field>, list: HTMLElement}} `list` must stand beside the field
 */
export function zoneField(oninput, value) {
  const id = uniqueId('zones');
  const known = new Set(['UTC', ...Intl.supportedValuesOf('timeZone')]);
  return {
    field: field('Time zone', h('input', { list: id, autocomplete: 'off', spellcheck: 'false', value, oninput })),
    list: h('datalist', { id }, [...known].map((zone) => h('option', { value: zone }))),
  };
}
