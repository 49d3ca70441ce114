// The pages of the inspector. Each shows a view of the stream; see docs/inspector.md.
import {el, num, span, fine, clock, table, ring} from './draw.js';
import {Hub} from './worker.js';

const main = document.getElementById('main');
const status = document.getElementById('status');
const words = {live: 'live', lost: 'connection lost; trying again', refused: 'no stream: too many are open, or the server ends; trying again'};

// say shows how the stream is.
function say(s) {
  status.textContent = words[s] || s;
  status.className = s === 'live' ? '' : 'off';
}

// send tells the hub which views are shown.
let send;
if (window.SharedWorker) {
  const policy = window.trustedTypes ? trustedTypes.createPolicy('tasklets', {createScriptURL: (s) => s}) : {createScriptURL: (s) => s};
  const port = new SharedWorker(policy.createScriptURL('worker.js'), {type: 'module'}).port;
  port.onmessage = (e) => got(e.data);
  send = (m) => port.postMessage(m);
} else {
  const hub = new Hub();
  send = (m) => (m === 'beat' ? hub.beat(got) : hub.set(got, m));
}
setInterval(() => document.visibilityState === 'visible' && send('beat'), 15000);

let page = null; // the page that is shown: {view, draw}
let state = null; // of its view: {head, lists, base}

// watch asks for the view of the page while somebody can see it.
function watch() {
  send(page && document.visibilityState === 'visible' ? [page.view] : []);
}

// now is the time on the system's clock.
const now = () => state.now + performance.now() - state.base;

const merge = (to, from) => {
  for (const [k, v] of Object.entries(from)) if (v === null) delete to[k]; else to[k] = v;
  return to;
};

function got(m) {
  if (m.status) return say(m.status);
  const d = m.data;
  if (!page || d.view !== page.view) return;
  if (m.kind === 'problem') {
    page.trouble = d.error;
    page.problem(d.error);
    return;
  }
  page.trouble = '';
  if (m.kind === 'snapshot') {
    state = {head: d.head, lists: {}, now: d.now, base: performance.now()};
    for (const [name, rows] of Object.entries(d.lists)) {
      state.lists[name] = {order: rows.map((r) => r[0]), rows: new Map(rows)};
    }
  } else if (state) {
    merge(state.head, d.head || {});
    for (const [name, c] of Object.entries(d.lists || {})) {
      const l = state.lists[name];
      for (const [k, f] of Object.entries(c.set || {})) l.rows.set(k, merge(l.rows.get(k) || {}, f));
      if (c.order) {
        l.order = c.order;
        const keep = new Set(c.order);
        for (const k of l.rows.keys()) if (!keep.has(k)) l.rows.delete(k);
      }
    }
  }
  draw();
}

function draw() {
  if (!page || !state) return;
  page.problem(page.trouble || state.head.gone || '');
  document.getElementById('system').textContent = state.head.system || '';
  page.draw(state.head, (name) => {
    const l = state.lists[name];
    return l ? l.order.map((key) => Object.assign({key}, l.rows.get(key))) : [];
  });
}

setInterval(() => document.visibilityState === 'visible' && draw(), 1000); // times go on
document.addEventListener('visibilitychange', watch);
addEventListener('pagehide', () => send([]));
addEventListener('pageshow', (e) => e.persisted && watch());

// url returns the fragment of a page.
const url = (name, q = {}) => {
  const p = new URLSearchParams(Object.entries(q).filter(([, v]) => v));
  return '#/' + name + (String(p) ? '?' + p : '');
};

// ask returns what read makes of an answer, or why there is none. With a body it is a POST.
async function ask(path, body, read) {
  try {
    const r = await fetch('api/' + path, body ? {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)} : {});
    return r.ok ? await read(r) : (await r.json()).error;
  } catch (e) {
    return 'no answer: ' + e.message;
  }
}

// Cells.

const since = (at) => span(now() - at);
const link = (r, text) => (r.tasklet ? el('a', {href: url('tasklet/' + r.tasklet), text}) : el('span', {text}));
const pathOf = (r) => [r.path + r.tasklet, () => [link(r, r.path)]];

const rate = (r) => (r.handled_per_second ? num(r.handled_per_second) + '/s' : '');
const busy = (r) => (r.busy_ratio ? (100 * r.busy_ratio).toFixed(1) + ' %' : '');

function stateText(r) {
  switch (r.state) {
    case 'stalled': return 'busy ' + since(r.for_at) + (r.message ? ' on ' + r.message : '');
    case 'restarting': return r.until_at ? 'restarting in ' + span(r.until_at - now()) : 'restarting';
    case 'sleeping': return r.until_at ? 'sleeping ' + span(r.until_at - now()) : 'sleeping';
    case 'parked': case 'starting':
      if (!r.wait) return r.state;
      return (r.state === 'starting' ? 'starting, ' : '') + 'parked ' + since(r.for_at) + ' in ' + r.wait + (r.on ? ' ' + r.on : '');
  }
  return r.state;
}

const loud = (r) => (r.attention >= 80 ? 'bad' : r.attention > 0 ? 'warn' : '');

const cols = {
  state: {title: 'State', cls: 'wrap', draw: (r) => {
    const t = (stateText(r) || '') + (r.killed_ago_at ? ', killed ' + since(r.killed_ago_at) + ' ago' : '');
    return [t + loud(r), () => [el('span', {class: loud(r), text: t})]];
  }},
  mailbox: {title: 'Mailbox', sort: 'depth', draw: (r) => {
    if (r.mailbox_len === undefined) return '';
    const t = num(r.mailbox_len) + '/' + (r.mailbox_cap ? num(r.mailbox_cap) : '∞') + (r.full ? ' FULL' : '') +
      (r.full_at ? ' ' + since(r.full_at) : '') + (r.senders_waiting ? ', ' + num(r.senders_waiting) + ' waiting' : '') +
      (r.closed ? ' closed' : '');
    return [t, () => [
      r.mailbox_cap ? el('meter', {min: 0, max: r.mailbox_cap, high: r.mailbox_cap * 0.8, optimum: 0, value: r.mailbox_len, 'aria-label': 'mailbox'}) : '',
      el('span', {class: r.full ? 'bad' : '', text: t}),
    ]];
  }},
  oldest: {title: 'Oldest', cls: 'wide', sort: 'oldest', draw: (r) => (r.oldest_at_least_at ? since(r.oldest_at_least_at) : '')},
  rate: {title: 'Rate', cls: 'num wide', sort: 'rate', draw: (r) => rate(r)},
  p99: {title: 'p99', cls: 'num wide', sort: 'p99', draw: (r) => fine(r.handler_p99_seconds)},
  busy: {title: 'Busy', cls: 'num wide', sort: 'busy', draw: (r) => busy(r)},
  handled: {title: 'Handled', cls: 'num wide', sort: 'handled', draw: (r) => num(r.handled)},
  dropped: {title: 'Dropped', cls: 'num wide', sort: 'dropped', draw: (r) => num(r.dropped)},
  restarts: {title: 'Restarts', cls: 'num wide', sort: 'restarts', draw: (r) => {
    const t = r.strategy !== undefined || r.total_restarts !== undefined
      ? (r.max_restarts !== undefined ? num(r.window_restarts) + '/' + num(r.max_restarts) : num(r.total_restarts))
      : num(r.restarts);
    return [t + r.restarted, () => [el('span', {class: r.restarted ? 'warn' : '', text: t})]];
  }},
  notes: {title: 'Notes', cls: 'wrap wide', draw: (r) => [
    r.strategy, r.note, r.restarted && 'restarted', r.last_error && 'last: ' + r.last_error + (r.last_ago_at ? ' (' + since(r.last_ago_at) + ' ago)' : ''),
    r.fault && 'Describe ' + r.fault,
    ...Object.keys(r).filter((k) => k.startsWith('label_')).map((k) => k.slice(6) + '=' + r[k]),
  ].filter(Boolean).join('  ')},
  kind: {title: 'Kind', cls: 'wide', draw: (r) => r.kind},
  path: {title: 'Path', cls: 'wrap', sort: 'name', draw: pathOf},
};

// tools returns a bar of controls that change the query of the page.
function tools(q, fields) {
  const bar = el('form', {class: 'bar', onsubmit: (e) => e.preventDefault()});
  const set = (k, v) => {
    const [name] = location.hash.slice(2).split('?');
    const next = {...Object.fromEntries(new URLSearchParams(location.hash.split('?')[1] || '')), [k]: v, skip: ''};
    history.replaceState(null, '', url(name, next));
    page.change(next);
  };
  for (const [k, title, options] of fields) {
    let input;
    if (options) {
      input = el('select', {onchange: () => set(k, input.value)}, ...options.map((o) => el('option', {value: o, text: o || 'all', selected: o === (q[k] || '')})));
    } else {
      let timer;
      input = el('input', {type: 'search', value: q[k] || '', oninput: () => {
        clearTimeout(timer);
        timer = setTimeout(() => set(k, input.value), 250);
      }});
    }
    input.name = k;
    bar.append(el('label', {}, title + ' ', input));
  }
  return [bar, set];
}

const states = ['', 'attention', 'stalled', 'restarting', 'full', 'dropping', 'restarted', 'killed', 'stopping', 'starting', 'running', 'ready', 'parked', 'sleeping', 'idle', 'stopped'];
const query = (name, q, keys) => name + url('', Object.fromEntries(keys.map((k) => [k, q[k]]))).slice(2);

const text = (title, key, cls) => ({title, cls: cls || 'wrap', draw: (r) => r[key]});
const count = (title, key, cls) => ({title, cls: cls || 'num wide', draw: (r) => num(r[key])});

// sections returns parts, and functions that add and show lists.
function sections(...parts) {
  const shows = [];
  return [parts, (name, title, columns, empty) => {
    const [box, show] = table(title, columns, {empty: empty || 'None.'});
    parts.push(el('h2', {text: title}), box);
    shows.push([name, show]);
  }, (list) => shows.forEach(([name, show]) => show(list(name)))];
}

const pages = {
  tree(q) {
    const [bar] = tools(q, [['q', 'Filter'], ['state', 'State', states], ['rows', 'Rows', ['200', '50', '500', '1000']]]);
    const crumbs = el('p', {class: 'soft'});
    const sum = el('p', {class: 'soft', id: 'summary'});
    const [loudBox, showLoud] = table('Needs attention', [cols.path, cols.state, cols.mailbox, cols.restarts, cols.notes], {empty: 'Nothing needs attention.'});
    const name = {title: 'Name', cls: 'name', draw: (r) => [
      r.fold ? 'fold' + r.text : r.name + r.tasklet + (r.children || 0),
      () => (r.fold ? [el('a', {href: url('tree', {under: r.under}), text: r.text})] : [
        link(r, r.name), r.children ? ' ' : '',
        r.children ? el('a', {href: url('tree', {under: r.path}), class: 'soft', 'aria-label': num(r.children) + ' below ' + r.name, text: '(' + num(r.children) + ')'}) : '',
      ]),
    ]};
    const [box, show] = table('Tree', [name, cols.kind, cols.state, cols.mailbox, cols.rate, cols.p99, cols.restarts, cols.notes], {
      row: (tr, r) => {
        tr.firstChild.style.setProperty('--depth', Math.min(r.depth, 20));
        tr.classList.toggle('fold', Boolean(r.fold));
      },
    });
    return {
      parts: [bar, crumbs, el('h2', {text: 'Needs attention'}), loudBox, el('h2', {text: 'Tree'}), sum, box],
      query: (q) => query('tree', q, ['under', 'q', 'state', 'rows', 'skip']),
      draw(head, list) {
        const counts = ['stalled', 'restarting', 'stopping', 'full', 'dropping', 'restarted', 'running', 'ready', 'parked', 'sleeping', 'idle', 'stopped'];
        sum.textContent = [num(head.tasklets) + ' tasklets', num(head.restarts) + ' restarts', ...counts.filter((k) => head[k]).map((k) => num(head[k]) + ' ' + k)].join(', ');
        showLoud(list('problems'));
        const folds = new Map(list('folded').map((f) => [f.row, f]));
        const rows = [];
        const open = [];
        const close = (depth) => {
          while (open.length && open[open.length - 1].depth > depth) {
            const f = open.pop();
            const parts = [...counts, 'starting', 'finished'].filter((k) => f[k]).map((k) => num(f[k]) + ' ' + k);
            rows.push({key: 'fold ' + f.key, fold: true, depth: f.depth, under: f.under, text: '+' + num(f.count) + ' more: ' + parts.join(', ')});
          }
        };
        for (const r of list('tree')) {
          close(r.depth);
          rows.push(r);
          if (folds.has(r.key)) open.push(folds.get(r.key));
        }
        close(-1);
        show(rows);
        const p = page.params;
        const skip = Number(p.skip || 0);
        const rowsShown = Number(p.rows || 200);
        const sig = JSON.stringify([p, head.below]);
        if (crumbs.sig === sig) return;
        crumbs.sig = sig;
        crumbs.replaceChildren();
        if (!p.under) return;
        crumbs.append(el('a', {href: url('tree'), text: 'whole tree'}));
        const names = p.under.split('/').slice(1);
        names.forEach((n, i) => crumbs.append(' / ', el('a', {href: url('tree', {under: '/' + names.slice(0, i + 1).join('/')}), text: n})));
        if (skip) crumbs.append(' ', el('a', {href: url('tree', {...p, skip: Math.max(0, skip - rowsShown + 10) || ''}), text: 'previous children'}));
        if (head.below > skip + rowsShown - 10) crumbs.append(' ', el('a', {href: url('tree', {...p, skip: skip + rowsShown - 10}), text: 'children from ' + num(skip + rowsShown - 10)}));
      },
    };
  },

  tasklets(q) {
    const [bar, set] = tools(q, [['q', 'Filter'], ['state', 'State', states]]);
    const sum = el('p', {class: 'soft', id: 'summary'});
    const [box, show] = table('Tasklets', [cols.path, cols.kind, cols.state, cols.mailbox, cols.oldest, cols.rate, cols.p99, cols.busy, cols.handled, cols.dropped, cols.restarts], {sort: (k) => set('sort', k)});
    return {
      parts: [el('h2', {text: 'Tasklets'}), bar, sum, box],
      query: (q) => query('tasklets', q, ['q', 'state', 'sort']),
      draw(head, list) {
        const rows = list('rows');
        sum.textContent = num(head.found) + ' found, ' + num(rows.length) + ' shown, by ' + head.sort;
        show(rows, head.sort);
      },
    };
  },

  tasklet(q, id) {
    const title = el('h2');
    const facts = el('dl');
    const acts = el('div', {class: 'bar'});
    const done = el('p', {role: 'status'});
    const pre = el('pre', {hidden: true, tabindex: 0});
    const post = async (action, body) => {
      done.textContent = action + ' ...';
      done.textContent = await ask('tasklet/' + id + '/' + action, body || {}, (r) => action + (r.status === 202 ? ': goes on' : ': done'));
    };
    // sure asks for a second click.
    const sure = (action) => {
      const b = el('button', {type: 'button', text: action, onclick: () => {
        if (b.classList.toggle('sure')) {
          b.textContent = action + ': sure?';
          setTimeout(() => { b.classList.remove('sure'); b.textContent = action; }, 4000);
        } else {
          b.textContent = action;
          post(action);
        }
      }});
      return b;
    };
    const stack = el('button', {type: 'button', text: 'stack', onclick: async () => {
      pre.hidden = false;
      pre.textContent = await ask('tasklet/' + id + '/stack', null, (r) => r.text());
    }});
    const [below, showBelow] = table('Children', [cols.path, cols.kind, cols.state, cols.mailbox, cols.restarts]);
    const [waiters, showWaiters] = table('Waits for it', [cols.path, cols.state]);
    const [events, showEvents] = table('Events', eventCols);
    return {
      parts: [title, acts, done, facts, pre, el('h2', {text: 'Waits for it'}), waiters, el('h2', {text: 'Children'}), below, el('h2', {text: 'Events'}), events],
      query: () => 'tasklet/' + id,
      draw(h, list) {
        title.textContent = h.path;
        if (!acts.firstChild) acts.append(stack, ...(h.actions ? [...(h.supervised ? [sure('restart')] : []), sure('drain'), sure('kill')] : []));
        acts.hidden = Boolean(h.gone);
        const f = [
          ['State', h.gone ? 'ended: ' + h.gone : stateText(h) + (h.killed_ago_at ? ', killed ' + since(h.killed_ago_at) + ' ago' : '')],
          ['ID', h.tasklet], ['Kind', h.kind], ['Scheduler', h.scheduler],
          ['Parent', h.parent && link(h.parent, h.parent.path)],
          ['Waits for', h.waits_for && link(h.waits_for, h.waits_for.path)],
          ['Message type', h.message_type], ['In hand', h.in_hand],
          ['Mailbox', h.mailbox_len !== undefined && cols.mailbox.draw(h)[0] + ', peak ' + num(h.mailbox_peak || 0)],
          ['Oldest message', h.oldest_at_least_at && since(h.oldest_at_least_at)],
          ['Handled', h.handled && num(h.handled) + (rate(h) && ', ' + rate(h))],
          ['Handler time', h.handler_p99_seconds && ['p50', 'p99', 'max'].map((k) => k + ' ' + fine(h['handler_' + k + '_seconds'])).join(', ')], ['Busy', busy(h)],
          ['Time in mailbox', h.mailbox_wait_p99_seconds && ['p50', 'p99', 'max'].map((k) => k + ' ' + fine(h['mailbox_wait_' + k + '_seconds'])).join(', ')],
          ['Goroutines waiting', (h.callers_waiting || 0) + (h.joiners_waiting || 0)],
          ['Dropped', h.dropped && num(h.dropped)],
          ['Restarts', h.restarts], ['Last end', h.last_error && h.last_error + (h.last_ago_at ? ', ' + since(h.last_ago_at) + ' ago' : '')],
          ['Supervision', h.total_restarts !== undefined && [h.strategy || 'pool', num(h.children || 0) + ' children', 'up ' + since(h.up_at),
            h.max_restarts !== undefined ? 'restarts ' + h.window_restarts + '/' + h.max_restarts + ' in ' + span(h.window_seconds * 1000) : 'restarts ' + h.total_restarts, h.note].filter(Boolean).join(', ')],
          ['Watched by', h.watched && (h.watchers || []).join(', ') + (h.watched > (h.watchers || []).length ? ' and others' : '')],
          ...Object.entries(h.labels || {}), ...Object.entries(h.options || {}),
          ['Publishes', h.state_fault || (h.published !== undefined && JSON.stringify(h.published, null, 1))],
        ].filter(([, v]) => v !== undefined && v !== false && v !== null && v !== '' && v !== 0);
        const sig = f.map(([k, v]) => k + ' ' + (v.href ? v.href : v)).join('\n');
        if (facts.sig !== sig) {
          facts.sig = sig;
          facts.replaceChildren(...f.flatMap(([k, v]) => [el('dt', {text: k}), el('dd', {}, v.nodeType ? v : String(v))]));
        }
        showBelow(list('below'));
        showWaiters(list('waiters'));
        showEvents(list('events'));
      },
    };
  },

  stuck() {
    const wide = [cols.path, cols.state, cols.mailbox, cols.restarts, cols.notes];
    const senders = {title: 'Senders in line', cls: 'wrap', draw: (r) => [JSON.stringify(r.senders || []), () => (r.senders || []).flatMap((s) => [link(s, s.path), ' '])]};
    const [parts, add, show] = sections();
    add('stalled', 'Keep their scheduler', [cols.path, cols.state], 'No tasklet keeps its scheduler.');
    parts.push(el('h2', {text: 'Wait for each other'}));
    const rings = el('div');
    parts.push(rings);
    add('full', 'Full mailboxes', [cols.path, cols.mailbox, senders], 'No mailbox is full.');
    add('waiting', 'Wait for another tasklet for long', [cols.path, cols.state]);
    add('ending', 'Killed, and have not ended', wide);
    add('restarting', 'Restarts', wide, 'Nothing was restarted in the last minute.');
    add('stalls', 'Were reported as stalled', [cols.path, count('Stalls', 'stalls', 'num'), {title: 'Last', draw: (r) => since(r.last_ms) + ' ago'},
      {title: 'Stack', draw: (r) => [r.seq, () => [el('a', {href: url('event/' + r.seq), text: 'event ' + r.seq})]]}]);
    return {
      parts,
      query: () => 'stuck',
      draw(head, list) {
        show(list);
        const all = list('rings');
        const sig = JSON.stringify(all);
        if (rings.sig === sig) return;
        rings.sig = sig;
        rings.replaceChildren(...(all.length ? all.map((r) => el('div', {class: 'ring'}, r.now || r.ring ? ring(r.links, true) : '',
          el('div', {}, el('p', {class: r.now ? 'bad' : '', text: r.now ? 'now' : 'reported at ' + clock(r.time_ms) + (r.soft ? ', a wait can time out' : '')}),
            el('ol', {}, ...r.links.map((l) => el('li', {}, link(l, l.path), l.wait ? ' in ' + l.wait : '', l.on ? ' ' + l.on : '')))))) : [el('p', {class: 'empty', text: 'No deadlock.'})]));
      },
    };
  },

  events(q) {
    const [bar] = tools(q, [['under', 'Below'], ['kind', 'Kind', ['', q.kind].filter((k) => k !== undefined)], ['level', 'From level', ['', 'debug', 'info', 'warn', 'error']]]);
    const sum = el('p', {class: 'soft', id: 'summary'});
    const select = bar.elements.kind;
    const [box, show] = table('Events', [...eventCols.slice(0, 1), {title: 'Path', cls: 'wrap', draw: pathOf}, ...eventCols.slice(1)]);
    return {
      parts: [el('h2', {text: 'Events'}), bar, sum, box],
      query: (q) => query('events', q, ['under', 'kind', 'level']),
      draw(head, list) {
        sum.textContent = num(head.total) + ' since ' + clock(head.since_ms) + ', ' + num(head.dropped) + ' dropped, ' + num(head.kept) + ' kept';
        for (const k of Object.keys(head.kinds).sort()) if (![...select.options].some((o) => o.value === k)) select.append(el('option', {value: k, text: k}));
        show(list('events'));
      },
    };
  },

  event(q, seq) {
    const pre = el('pre', {tabindex: 0});
    ask('event/' + encodeURIComponent(seq), null, async (r) => {
      const e = await r.json();
      return Object.entries(e).filter(([k]) => k !== 'stack').map(([k, v]) => k + ': ' + (typeof v === 'object' ? JSON.stringify(v) : v)).join('\n') + (typeof e.stack === 'string' ? '\n\n' + e.stack : '');
    }).then((text) => { pre.textContent = text; });
    return {parts: [el('h2', {text: 'Event ' + seq}), pre], query: () => 'events?rows=1', draw() {}};
  },

  deadletters() {
    const sum = el('p', {class: 'soft', id: 'summary'});
    const [box, show] = table('Dead letters', [
      text('To', 'to'), text('Reason', 'reason'), text('Type', 'message'),
      count('Count', 'count', 'num'), {title: 'First', cls: 'wide', draw: (r) => clock(r.first_ms)}, {title: 'Last', draw: (r) => since(r.last_ms) + ' ago'},
    ], {empty: 'No message was lost.'});
    return {
      parts: [el('h2', {text: 'Dead letters'}), sum, box],
      query: () => 'deadletters',
      draw(head, list) {
        sum.textContent = num(head.total) + ' since ' + clock(head.since_ms) + (head.other ? ', ' + num(head.other) + ' of them not listed' : '');
        show(list('letters'));
      },
    };
  },

  system(q) {
    const [bar] = tools(q, [['q', 'Filter names']]);
    const sum = el('p', {class: 'soft', id: 'summary'});
    const level = el('p');
    const [schedulers, showSchedulers] = table('Schedulers', [text('Scheduler', 'scheduler', 'num'), count('Tasklets', 'tasklets', 'num'),
      {title: 'Load', cls: 'num', draw: (r) => (r.load === undefined ? '' : (100 * r.load).toFixed(1) + ' %')}, count('Ready', 'ready'), count('In I/O', 'in_io'),
      {title: 'Now', draw: (r) => (r.stalled_seconds ? 'stalled ' + span(r.stalled_seconds * 1000) : r.busy ? 'awake' : 'sleeps')}]);
    const [names, showNames] = table('Names', [text('Name', 'name'), text('Path', 'path'), text('Type', 'message')]);
    const [groups, showGroups] = table('Groups', [text('Group', 'name'), count('Members', 'members', 'num'), text('Type', 'message'), {title: 'First members', cls: 'wrap wide', draw: (r) => (r.paths || []).join('  ')}]);
    return {
      parts: [el('h2', {text: 'System'}), sum, level, el('h2', {text: 'Schedulers'}), schedulers, el('h2', {text: 'Names'}), bar, names, el('h2', {text: 'Groups'}), groups],
      query: (q) => query('system', q, ['q']),
      draw(head, list) {
        sum.textContent = head.phase + ', ' + num(head.tasklets) + ' tasklets, ' + num(head.names) + ' names, ' + num(head.groups) + ' groups, actions ' + (head.actions ? 'allowed' : 'not allowed');
        if (head.log_level && level.sig !== head.log_level) {
          level.sig = head.log_level;
          const pick = el('select', {name: 'level', disabled: !head.actions, onchange: async () => { said.textContent = await ask('loglevel', {level: pick.value}, () => ''); }},
            ...['debug', 'info', 'warn', 'error'].map((l) => el('option', {value: l, text: l, selected: l === head.log_level})));
          const said = el('span', {class: 'bad', role: 'status'});
          level.replaceChildren(el('label', {}, 'Log level ', pick), ' ', said);
        }
        showSchedulers(list('schedulers'));
        showNames(list('name_list'));
        showGroups(list('group_list'));
      },
    };
  },

  cluster(q) {
    const [bar] = tools(q, [['q', 'Filter names']]);
    const sum = el('p', {class: 'soft', id: 'summary'});
    const [parts, add, show] = sections(sum);
    const at = text('Seen by', 'at', 'wide');
    const node = {title: 'Node', cls: 'wrap', draw: (r) => r.node + (r.member === false ? ' (down)' : '')};
    const state = {title: 'State', cls: 'wrap', draw: (r) => {
      const t = [r.state, r.for_at && since(r.for_at), r.error].filter(Boolean).join(' ');
      return [t, () => [el('span', {class: {down: 'bad', shut_out: 'bad', suspect: 'warn'}[r.state], text: t})]];
    }};
    add('node_list', 'This process', [node, state, {title: 'Lease', cls: 'num', draw: (r) => span(r.lease_at - now())},
      count('Names', 'names'), count('Singletons', 'singletons'), count('Shards', 'shards')], 'It is no node of a cluster.');
    add('link_list', 'Links', [node, state, count('Outboxes', 'outboxes'), count('Waiting', 'waiting', 'num'), count('Unconfirmed', 'unconfirmed', 'num'),
      count('Queued', 'queued', 'num'), count('Calls', 'calls'), count('Sent', 'sent_messages'), count('Received', 'received_messages'), count('Again', 'again'), count('Refused', 'refused'), at]);
    add('shard_list', 'Shards', [text('Kind', 'kind'), node, count('Shards', 'shards', 'num'), at]);
    parts.push(bar);
    add('name_list', 'Names of the cluster', [text('Name', 'name'), text('Kind', 'kind', 'wide'), node, text('Type', 'message'), at]);
    return {
      parts,
      query: (q) => query('cluster', q, ['q']),
      draw(head, list) {
        sum.textContent = ['nodes', 'links', 'names'].map((k) => num(head[k]) + ' ' + k).join(', ');
        show(list);
      },
    };
  },
};

const eventCols = [
  {title: 'Time', draw: (r) => [r.time, () => [el('a', {href: url('event/' + r.seq), text: clock(r.time_ms)})]]},
  {title: 'Event', draw: (r) => [r.event + r.level, () => [el('span', {class: r.level === 'error' ? 'bad' : r.level === 'warn' ? 'warn' : '', text: r.event})]]},
  {title: 'What', cls: 'wrap', draw: (r) => [r.error, r.message, r.count && num(r.count) + ' messages', ...Object.entries(r.fields || {}).map(([k, v]) => k + '=' + v)].filter(Boolean).join('  ')},
];

// go shows the page that the fragment names.
function go() {
  const [path, raw] = (location.hash.slice(2) || 'tree').split('?');
  const [name, arg] = path.split('/');
  const params = Object.fromEntries(new URLSearchParams(raw || ''));
  const make = pages[Object.hasOwn(pages, name) ? name : 'tree'];
  const problem = el('p', {class: 'bad', role: 'alert'});
  state = null;
  page = make(params, arg);
  page.params = params;
  page.view = page.query(params);
  page.problem = (text) => { if (problem.textContent !== text) problem.textContent = text; };
  page.change = (next) => {
    page.trouble = '';
    page.params = next;
    page.view = page.query(next);
    watch();
  };
  main.replaceChildren(problem, ...page.parts);
  for (const a of document.querySelectorAll('nav a')) {
    if (a.hash === '#/' + name || (name === 'tasklet' && a.hash === '#/tasklets') || (name === 'event' && a.hash === '#/events')) a.setAttribute('aria-current', 'page');
    else a.removeAttribute('aria-current');
  }
  document.title = 'Tasklets: ' + name;
  watch();
}

addEventListener('hashchange', () => { go(); main.focus({preventScroll: true}); scrollTo(0, 0); });
go();
