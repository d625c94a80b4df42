import { field, h } from './dom.js';

/** The event types of a target: proposed with a new one, and shown on their cards afterwards. */
export class EventChoice {
  /**
   * @param {string} own the event type that is always one of them
   * @param {Object<string, string>} labels of all event types
   * @param {() => void} changed called at each change
   */
  constructor(own, labels, changed) {
    const box = (event) => field(labels[event], h('input', { type: 'checkbox', disabled: event === own, onchange: changed }), { className: 'check' });
    this.boxes = new Map(Object.keys(labels).map((event) => [event, box(event)]));
    this.node = h('fieldset', { class: 'events' }, h('legend', {}, 'Events posted to this URL'),
      [...this.boxes.values()].map(({ node }) => node));
  }

  /** @param {string[]} events */
  show(events) {
    for (const [event, { control }] of this.boxes) control.checked = events.includes(event);
  }

  /** @returns {string[]} in the service's order */
  value() {
    return [...this.boxes].filter(([, { control }]) => control.checked).map(([event]) => event);
  }

  forgive() {
    for (const part of this.boxes.values()) part.complain(null);
  }

  /** Shows an error at an event type, or at the first. @returns {HTMLElement} the control that it is about */
  complain(event, reason) {
    const part = this.boxes.get(event) ?? [...this.boxes.values()].find(({ control }) => !control.disabled);
    part.complain(reason);
    return part.control;
  }
}
