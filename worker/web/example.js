// Two tabs talk on a topic, and the reader breaks the network between them.

import { Restante } from './restante.js';

const $ = (id) => document.getElementById(id);
const topic = `chat:${new URLSearchParams(location.search).get('room') || 'lobby'}`;
const name = sessionStorage.getItem('name') || `guest ${Math.floor(Math.random() * 900 + 100)}`;

// --- a network that can be broken ---

const network = { block: false, mute: false, tunnel: false };
const sockets = new Set();
const requests = new Set(); // what fails each that is under way

class FrailSocket extends WebSocket {
  constructor(...where) {
    if (network.block || network.tunnel) throw new Error('no way through');
    super(...where);
    sockets.add(this);
    this.addEventListener('close', () => sockets.delete(this));
  }

  send(frame) {
    if (!network.mute) super.send(frame);
  }

  set onmessage(fn) {
    super.onmessage = fn && ((event) => network.mute || fn(event));
  }
}

function frailFetch(...what) {
  if (network.tunnel) return Promise.reject(new TypeError('in a tunnel'));
  return new Promise((resolve, reject) => {
    requests.add(reject);
    fetch(...what).then(resolve, reject).finally(() => requests.delete(reject));
  });
}

function cut() {
  for (const socket of sockets) socket.close();
  if (!sockets.size) box.retry();
}

// --- the client: this is all of it ---

const box = new Restante({
  topics: [topic],
  storage: sessionStorage, // one per tab; a reload goes on where it was
  WebSocket: FrailSocket,
  fetch: frailFetch,
});
present(name);
box.on('message', (message) => {
  if (message.ephemeral && message.event === 'presence') showPeople(message.data);
  else showMessage(message);
});
for (const event of ['open', 'offline', 'road', 'hole', 'truncated', 'reset', 'closing', 'error', 'closed']) {
  box.on(event, (what) => showEvent(event, what));
}

/** What the presence list says of us; refused where the topic has none. */
function present(as) {
  return box.subscribe(topic, { presence: { name: as } }).then(fetchPeople, () => {});
}

async function say(text) {
  $('waiting').textContent++;
  try {
    await box.publish(topic, { event: 'said', data: { from: $('name').value, text } });
  } catch (error) {
    note(`"${text}" was refused: ${error.message}`);
  }
  $('waiting').textContent--;
}

// --- what the page shows ---

function add(list, text, className = '') {
  const item = document.createElement('li');
  item.className = className;
  item.textContent = text;
  $(list).append(item);
  $(list).scrollTop = $(list).scrollHeight;
  return item;
}

const note = (text) => add('messages', text, 'note');

function showMessage({ data, time }) {
  const { from = 'someone', text = JSON.stringify(data) } = data ?? {};
  const item = add('messages', text, from === $('name').value ? 'mine' : '');
  const who = document.createElement('small');
  who.textContent = from;
  item.prepend(who);
  item.title = new Date(time).toLocaleTimeString();
  $('received').textContent++;
}

function showEvent(event, what) {
  const text = { road: what?.road ?? 'none', hole: what?.seq, reset: what?.reason }[event] ?? [what?.code, what?.detail].join(' ');
  add('log', `${new Date().toTimeString().slice(0, 8)} ${event} ${text}`);
  if (event === 'hole') note('a message is missing here');
  if (event === 'reset') note('a new session; what was kept for the old one is gone');
  $('state').className = box.state;
  $('state').textContent = { websocket: 'by WebSocket', poll: 'by long-poll' }[box.road] ?? box.state;
  $('session').textContent = box.session ?? 'none yet';
  if (event === 'open') fetchPeople();
  if (what?.status === 401) note('This server allows no anonymous sessions: scripts/start writes a configuration that does.');
}

setInterval(() => {
  $('cursor').textContent = box.cursor ?? '';
}, 250);

// --- who is here: a list, kept up to date by differences ---

let people = null; // {version, members: Map of key -> metas}

async function fetchPeople() {
  try {
    const members = new Map();
    let page;
    do {
      const after = page ? `?after=${page.next}` : '';
      page = (await box.http('GET', `/v1/topics/${encodeURIComponent(topic)}/presence${after}`)).json;
      for (const { key, metas } of page.members) members.set(key, metas);
    } while (page.next);
    people = { version: page.version, members };
  } catch {
    people = null; // this server, or this topic, has no presence
  }
  listPeople();
}

function showPeople({ version, prev, joins, leaves }) {
  if (people?.version !== prev) return void fetchPeople();
  people.version = version;
  for (const [key, { metas }] of Object.entries(leaves)) {
    const gone = new Set(metas.map(({ ref }) => ref));
    const rest = (people.members.get(key) ?? []).filter(({ ref }) => !gone.has(ref));
    if (rest.length) people.members.set(key, rest);
    else people.members.delete(key);
  }
  for (const [key, { metas }] of Object.entries(joins)) {
    people.members.set(key, [...people.members.get(key) ?? [], ...metas]);
  }
  listPeople();
}

function listPeople() {
  $('people-card').hidden = !people;
  $('people').replaceChildren();
  for (const [key, metas] of people?.members ?? []) add('people', metas.map((meta) => meta.name ?? key).join(', '));
}

// --- what the reader does ---

$('topic').textContent = topic;
$('other').href = location.href;
$('name').value = name;
$('name').onchange = () => {
  sessionStorage.setItem('name', $('name').value);
  present($('name').value);
};
$('say').onsubmit = (event) => {
  event.preventDefault();
  say($('text').value);
  $('text').value = '';
};
$('cut').onclick = cut;
for (const how of ['block', 'mute', 'tunnel']) {
  $(how).onclick = () => {
    network[how] = !network[how];
    $(how).setAttribute('aria-pressed', network[how]);
    if (network.tunnel) for (const fail of requests) fail(new TypeError('in a tunnel'));
    if (!network[how]) box.retry();
    else if (how !== 'mute') cut();
  };
}
