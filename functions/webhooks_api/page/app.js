import { onSessionEnded } from './api.js';
import { patterns } from './chart.js';
import { ask, button, field, focusOn, h } from './dom.js';
import { monitoringView } from './monitoring.js';
import { serversView } from './servers.js';
import { completeSignIn, currentSession, isOperator, readSettings, signIn, signOut } from './session.js';
import { webhooksView } from './webhooks.js';

const VIEWS = {
  '#/webhooks': { title: 'Webhooks', open: webhooksView },
  '#/servers': { title: 'Servers', open: serversView },
  '#/monitoring': { title: 'Monitoring', open: monitoringView },
};
const STASH_KEY = 'simple-backup.unsaved';
const ACCOUNT_KEY = 'simple-backup.account';

const main = document.getElementById('main');
const nav = document.getElementById('views');
const who = document.getElementById('who');
const notice = document.getElementById('notice');

let view = null; // the view that is shown: {node, isUnsettled, holdsSecret, stash}
let shown = null; // the view's place: {path, account, who, hash}
let closing = new AbortController();
let leaving = false;

function place() {
  const [path, query] = location.hash.split('?');
  const known = path in VIEWS ? path : '#/webhooks';
  const { account } = currentSession();
  const chosen = new URLSearchParams(query).get('account') ?? sessionStorage.getItem(ACCOUNT_KEY) ?? '';
  return { path: known, account: isOperator() ? chosen : account, who: currentSession().who, hash: location.hash };
}

const hashOf = (path, account) => (isOperator() && account ? `${path}?account=${encodeURIComponent(account)}` : path);

function show(title, ...content) {
  main.replaceChildren(h('h1', { tabindex: -1 }, h('span', {}, 'Simple Backup › '), title), ...content);
  document.title = `${title} › Simple Backup`;
}

function closeView() {
  closing.abort();
  closing = new AbortController();
  view = null;
  notice.replaceChildren();
}

function openView({ moveFocus = false } = {}) {
  closeView();
  shown = place();
  if (isOperator() && shown.account) sessionStorage.setItem(ACCOUNT_KEY, shown.account);
  showFrame();
  const { path, account } = shown;
  const { title, open } = VIEWS[path];
  if (!account) {
    show(title, h('p', { class: 'panel' }, isOperator()
      ? 'Choose the account that you want to look at.'
      : 'Your sign-in names no account. Ask your administrator for access.'));
    document.getElementById('account')?.focus();
    return;
  }
  view = open({
    account, signal: closing.signal, stash: readStash(), onRestored: () => sessionStorage.removeItem(STASH_KEY),
  });
  show(title, view.node);
  if (moveFocus) {
    window.scrollTo(0, 0);
    focusOn(main.querySelector('h1'), { preventScroll: true });
  }
}

function showFrame() {
  const session = currentSession();
  nav.hidden = !session;
  who.hidden = !session;
  if (!session) return;
  for (const link of nav.children) {
    const path = link.getAttribute('href').split('?')[0];
    link.setAttribute('href', hashOf(path, shown.account));
    if (path === shown.path) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  who.replaceChildren(
    isOperator() ? accountForm(shown.account) : h('span', { class: 'account' }, 'Account ', h('strong', {}, shown.account)),
    h('span', { class: 'user' }, session.who), button('Sign out', leave, { class: 'quiet' }));
}

function accountForm(account) {
  const input = field('Account', h('input', { id: 'account', value: account, autocomplete: 'off', spellcheck: 'false', required: true }));
  return h('form', {
    class: 'account-form',
    onsubmit: (event) => {
      event.preventDefault();
      const wanted = input.control.value.trim();
      if (wanted) location.hash = hashOf(shown.path, wanted);
    },
  }, input.node, h('button', {}, 'Show account'));
}

const mayLose = () => ask({
  title: 'Leave without saving?',
  text: view.holdsSecret() ? 'A new secret is shown that you have not kept. It is not shown again.' : 'Your unsaved changes will be lost.',
  yes: 'Leave', no: 'Stay',
});

async function followHash() {
  if (!shown || location.hash === shown.hash) return;
  if (!currentSession() || document.querySelector('dialog[open]')) {
    history.replaceState(null, '', shown.hash || location.pathname); // The open dialog or the sign-in comes first.
    return;
  }
  const wanted = location.hash;
  if (view?.isUnsettled()) {
    history.replaceState(null, '', shown.hash || location.pathname);
    const stays = !await mayLose();
    if (stays) {
      showFrame();
      return;
    }
    history.replaceState(null, '', wanted);
  }
  openView({ moveFocus: true });
}

function showSignedOut(message, isTrouble) {
  closeView();
  shown = null;
  nav.hidden = true;
  who.hidden = true;
  const trouble = h('div', { role: 'alert' }, message && h('p', { class: isTrouble ? 'alert' : 'note' }, message));
  show('Sign in', h('div', { class: 'panel welcome' }, trouble,
    h('p', {}, 'See how your backups are doing, and have their results posted to your own endpoints.'),
    button('Sign in', () => startSignIn(trouble), { class: 'primary' })));
  readSettings().catch(() => {}); // Read now, so that the button need not wait.
}

async function startSignIn(trouble) {
  leaving = true;
  trouble.replaceChildren();
  try {
    await signIn();
  } catch (error) {
    leaving = false;
    trouble.replaceChildren(h('p', { class: 'alert' }, `Signing in is not possible just now. ${error.message} Try again.`));
  }
}

async function leave() {
  if (view?.isUnsettled() && !await mayLose()) return;
  leaving = true;
  closeView();
  sessionStorage.removeItem(ACCOUNT_KEY);
  sessionStorage.removeItem(STASH_KEY);
  const left = await signOut().catch(() => false);
  leaving = left;
  if (left) return;
  history.replaceState(null, '', location.pathname);
  showSignedOut('You have signed out.');
  focusOn(main.querySelector('h1'));
}

/** Shows that the session has ended. Unsaved input stays on the page and is kept during the sign-in. */
function sessionEnded() {
  if (!view?.isUnsettled()) {
    showSignedOut('Your session has ended.');
    focusOn(main.querySelector('h1'));
    return;
  }
  const trouble = h('div', {});
  const again = async () => {
    if (view.holdsSecret() && !await ask({
      title: 'Have you kept the new secret?', text: 'It is not shown again after signing in.', yes: 'Sign in', no: 'Stay',
    })) return;
    sessionStorage.setItem(STASH_KEY, JSON.stringify({ ...placeOfStash(), unsaved: view.stash() }));
    await startSignIn(trouble);
  };
  notice.replaceChildren(h('div', { class: 'alert session-ended', role: 'alert' },
    h('p', {}, h('strong', {}, 'Your session has ended.'), ' Your unsaved changes stay here and are kept while you sign in.'),
    button('Sign in', again, { class: 'primary' }), trouble));
}

const placeOfStash = () => ({ account: shown.account, who: shown.who, path: shown.path });

function readStash() {
  const { unsaved, ...place } = JSON.parse(sessionStorage.getItem(STASH_KEY)) ?? {};
  return JSON.stringify(place) === JSON.stringify(placeOfStash()) ? unsaved : null;
}

async function start() {
  document.body.append(patterns());
  document.getElementById('skip').addEventListener('click', (event) => {
    event.preventDefault(); // The hash is the route.
    main.focus();
  });
  window.addEventListener('hashchange', followHash);
  window.addEventListener('beforeunload', (event) => {
    if (!leaving && view?.isUnsettled()) event.preventDefault();
  });
  window.addEventListener('pageshow', ({ persisted }) => {
    if (persisted) location.reload(); // "Back" after a sign-out must not show the old view.
  });
  onSessionEnded(sessionEnded);
  try {
    await completeSignIn();
  } catch (error) {
    showSignedOut(`You are not signed in. ${error.message}`, true);
    return;
  }
  if (currentSession()) openView();
  else showSignedOut();
}

start();
