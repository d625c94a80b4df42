import { h, svg } from './dom.js';
import { counted, inFigures, shortDay } from './format.js';

/** The results of a day, from the best to the worst, with their labels. */
const RESULTS = [
  ['success', 'Succeeded', 'succeeded'],
  ['partialSuccess', 'Partly succeeded', 'partly succeeded'],
  ['failed', 'Failed', 'failed'],
  ['missed', 'Missed', 'missed'],
  ['unfinished', 'Unfinished', 'unfinished'],
];

const HEIGHT = 168;
const TOP = 10;
const BOTTOM = 22;
const LEFT = 34;
const LEAST_LABEL = 64;
const LEAST_BAR = 4; // One failure among a thousand successes must be visible.

/** Returns the fill patterns, once for the page: bars differ by more than colour. */
export function patterns() {
  const hatch = (id, path) => svg('pattern', { id, width: 6, height: 6, patternUnits: 'userSpaceOnUse' },
    svg('rect', { width: 6, height: 6, class: `${id}-ground` }), svg('path', { d: path, class: `${id}-lines` }));
  return svg('svg', { width: 0, height: 0, class: 'patterns', 'aria-hidden': 'true' }, svg('defs', {},
    hatch('fill-partialSuccess', 'M-1 1 1-1M0 6 6 0M5 7 7 5'),
    hatch('fill-failed', 'M0 0 6 6M0 6 6 0'),
    hatch('fill-missed', 'M-1 5 1 7M0 0 6 6M5-1 7 1'),
    hatch('fill-unfinished', 'M0 3H6')));
}

const bar = (result, box) => svg('rect', {
  ...box, class: `bar bar-${result}`, fill: result === 'success' ? null : `url(#fill-${result})`,
});

const inWords = (day) => RESULTS.filter(([key]) => day[key]).map(([key, , words]) => `${day[key]} ${words}`).join(', ') || 'no backups';

/** `Nov 24 (UTC): 2 succeeded, 1 missed`. */
const dayWords = (day) => `${shortDay(day.day)} (UTC): ${inWords(day)}`;

const worstOf = (day) => RESULTS.findLast(([key]) => day[key])?.[0] ?? 'nothing';

const totals = (days) => Object.fromEntries(RESULTS.map(([key]) => [key, days.reduce((sum, day) => sum + day[key], 0)]));

const sample = (key) => svg('svg', { width: 14, height: 14, 'aria-hidden': 'true' }, bar(key, { x: 1, y: 1, width: 12, height: 12 }));

function legend(days) {
  const sums = totals(days);
  return h('ul', { class: 'legend' }, RESULTS.map(([key, words]) => h('li', {}, sample(key), words, h('strong', {}, inFigures(sums[key])))));
}

/** Returns a chart with a stacked bar for each day, its legend, and its numbers as a table. */
export function dailyChart(days) {
  const place = h('div', { class: 'chart' });
  // Drawn again at each new width, so that text and patterns keep their size.
  new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width > 0) place.replaceChildren(drawing(days, Math.floor(contentRect.width)));
  }).observe(place);
  return h('div', {}, legend(days), place, h('details', {}, h('summary', {}, 'Show the numbers'), numbers(days)));
}

function drawing(days, width) {
  const most = Math.max(1, ...days.map((day) => RESULTS.reduce((sum, [key]) => sum + day[key], 0)));
  const step = (width - LEFT) / days.length;
  const floor = HEIGHT - BOTTOM;
  const daysALabel = step * 7 < LEAST_LABEL ? 14 : 7;
  const marks = most > 1 ? [0, most / 2, most].filter(Number.isInteger) : [0, 1];
  const heightOf = (count) => (count / most) * (floor - TOP);
  return svg('svg', { width, height: HEIGHT, role: 'img', 'aria-label': `Backups a day, the last ${days.length} days (UTC): ${inWords(totals(days))}` },
    marks.map((mark) => svg('g', {},
      svg('line', { x1: LEFT, x2: width, y1: floor - heightOf(mark), y2: floor - heightOf(mark), class: 'grid' }),
      svg('text', { x: LEFT - 8, y: floor - heightOf(mark) + 4, 'text-anchor': 'end' }, mark))),
    days.map((day, index) => column(day, { x: LEFT + index * step, step, floor, heightOf })),
    days.map((day, index) => (days.length - 1 - index) % daysALabel === 0 && svg('text', {
      x: LEFT + (index + 0.5) * step, y: HEIGHT - 4, 'text-anchor': index === days.length - 1 ? 'end' : 'middle',
    }, shortDay(day.day))));
}

function column(day, { x, step, floor, heightOf }) {
  let y = floor;
  const bars = RESULTS.filter(([key]) => day[key]).map(([key]) => {
    const height = Math.max(LEAST_BAR, heightOf(day[key]));
    y -= height;
    return bar(key, { x: x + step * 0.14, y, width: step * 0.72, height });
  });
  return svg('g', {}, svg('title', {}, dayWords(day)), svg('rect', { x, y: 0, width: step, height: floor, class: 'hover' }), bars);
}

function numbers(days) {
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Backups a day in numbers' }, h('table', { class: 'numbers' },
    h('caption', {}, 'Backups a day (UTC), newest first'),
    h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Day'), RESULTS.map(([, words]) => h('th', { scope: 'col' }, words)))),
    h('tbody', {}, days.toReversed().map((day) => h('tr', {},
      h('th', { scope: 'row' }, shortDay(day.day)), RESULTS.map(([key]) => h('td', {}, day[key])))))));
}

const STRIP_BARS = {
  success: { y: 0, height: 28 }, partialSuccess: { y: 5, height: 23 }, failed: { y: 0, height: 28 }, missed: { y: 1, height: 26 },
  unfinished: { y: 1, height: 26 },
  nothing: { y: 23, height: 5 },
};

/** Returns a strip with a small bar for each day, which shows the day's worst result. */
export function dayStrip(days) {
  const count = Object.groupBy(days, worstOf);
  const words = [
    counted(count.success?.length ?? 0, 'good day'),
    ...RESULTS.slice(1).filter(([key]) => count[key]).map(([key, , result]) => `${count[key].length} ${result}`),
    count.nothing && `${count.nothing.length} without backups`,
  ].filter(Boolean).join(', ');
  return svg('svg', { class: 'strip', preserveAspectRatio: 'xMinYMid', viewBox: `0 0 ${days.length * 10 - 2} 28`, role: 'img', 'aria-label': `Last ${days.length} days: ${words}` },
    days.map((day, index) => svg('g', {}, svg('title', {}, dayWords(day)),
      svg('rect', { x: index * 10 - 1, y: 0, width: 10, height: 28, class: 'hover' }),
      worstOf(day) === 'nothing'
        ? svg('rect', { x: index * 10, width: 8, class: 'bar-nothing', ...STRIP_BARS.nothing })
        : bar(worstOf(day), { x: index * 10, width: 8, ...STRIP_BARS[worstOf(day)] }))));
}

/** Returns a list of the days with a result other than success, or null. It is for readers who cannot point at a bar. */
export function troubledDays(days) {
  const troubled = days.filter((day) => !['success', 'nothing'].includes(worstOf(day))).toReversed();
  if (troubled.length === 0) return null;
  return h('details', {}, h('summary', {}, `${counted(troubled.length, 'day')} with trouble`),
    h('ul', { class: 'plain' }, troubled.map((day) => h('li', {}, dayWords(day)))));
}
