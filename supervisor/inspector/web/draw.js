// What all pages draw with. Text from the system goes into textContent only.

// el returns an element. Children are elements and texts.
export function el(tag, props = {}, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(props)) {
    if (v === undefined || v === null || v === false) continue;
    if (k.startsWith('on')) e.addEventListener(k.slice(2), v);
    else if (k === 'text') e.textContent = v;
    else if (k === 'class') e.className = v;
    else e.setAttribute(k, v === true ? '' : v);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined && c !== ''));
  return e;
}

const SVG = 'http://www.w3.org/2000/svg';

export function svg(tag, props, ...children) {
  const e = document.createElementNS(SVG, tag);
  for (const [k, v] of Object.entries(props)) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

export const num = (n) => (n === undefined ? '' : Number(n).toLocaleString('en'));

// span returns a length of time as the log has it: 820ms, 12.4s, 3m7s, 2h14m.
export function span(ms) {
  ms = Math.max(0, ms);
  const s = Math.floor(ms / 1000);
  if (ms < 1000) return Math.ceil(ms) + 'ms';
  if (ms < 60000) return (s < 10 ? (ms / 1000).toFixed(1).replace(/\.0$/, '') : s) + 's';
  if (s < 3600) return Math.floor(s / 60) + 'm' + (s % 60) + 's';
  if (s < 86400) return Math.floor(s / 3600) + 'h' + (Math.floor(s / 60) % 60) + 'm';
  return Math.floor(s / 86400) + 'd' + (Math.floor(s / 3600) % 24) + 'h';
}

// fine returns a short time with two digits: 0.8us, 12us, 3.1ms.
export function fine(s) {
  if (s === undefined) return '';
  for (const [unit, n] of [['s', 1], ['ms', 1e-3], ['us', 1e-6]]) if (s >= n) return Number((s / n).toPrecision(2)) + unit;
  return Number((s * 1e9).toPrecision(2)) + 'ns';
}

export const clock = (ms) => new Date(ms).toLocaleTimeString('en-GB') + '.' + String(Math.floor(ms) % 1000).padStart(3, '0');

// table returns an element and a function that shows rows in it. A column has a title, a class, and draw(row), which
// returns a text, or [signature, function that returns nodes]. Cells whose text or signature is the same are not touched.
export function table(caption, columns, opts = {}) {
  const body = el('tbody');
  const head = el('tr');
  for (const c of columns) {
    const th = el('th', {scope: 'col', class: c.cls});
    if (c.sort && opts.sort) th.append(el('button', {type: 'button', text: c.title, onclick: () => opts.sort(c.sort)}));
    else th.textContent = c.title;
    c.th = th;
    head.append(th);
  }
  const t = el('table', {'aria-label': caption}, el('thead', {}, head), body);
  const empty = el('p', {class: 'empty', text: opts.empty || 'None.'});
  const box = el('div', {class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption}, t);
  const whole = el('div', {}, box, empty);
  const lines = new Map();
  let first = true;
  const show = (rows, sort) => {
    empty.hidden = rows.length > 0;
    box.hidden = rows.length === 0;
    for (const c of columns) if (c.sort) c.th.setAttribute('aria-sort', c.sort === sort ? (sort === 'name' ? 'ascending' : 'descending') : 'none');
    const seen = new Set();
    let at = null;
    for (const row of rows) {
      seen.add(row.key);
      let line = lines.get(row.key);
      if (!line) {
        line = {tr: el('tr', {class: first ? '' : 'new'}), cells: columns.map((c) => el('td', {class: c.cls})), had: []};
        line.tr.append(...line.cells);
        lines.set(row.key, line);
      }
      if (opts.row) opts.row(line.tr, row);
      columns.forEach((c, i) => {
        const v = c.draw(row);
        const [sig, make] = Array.isArray(v) ? v : [v === undefined || v === null ? '' : String(v)];
        if (line.had[i] === sig) return;
        line.had[i] = sig;
        if (make) line.cells[i].replaceChildren(...make());
        else line.cells[i].textContent = sig;
      });
      const next = at ? at.nextSibling : body.firstChild;
      if (next !== line.tr) body.insertBefore(line.tr, next);
      at = line.tr;
    }
    for (const [key, line] of lines) {
      if (seen.has(key)) continue;
      line.tr.remove();
      lines.delete(key);
    }
    first = false;
  };
  return [whole, show];
}

// ring draws tasklets that wait for each other, clockwise from the top.
export function ring(links, closed) {
  const n = links.length;
  const at = links.map((_, i) => {
    const a = (2 * Math.PI * i) / n - Math.PI / 2;
    return [65 + 45 * Math.cos(a), 65 + 45 * Math.sin(a)];
  });
  const g = svg('svg', {viewBox: '0 0 130 130', 'aria-hidden': 'true'});
  for (let i = 0; i < n; i++) {
    if (n < 2 || (!closed && i === n - 1)) continue;
    const [[x1, y1], [x2, y2]] = [at[i], at[(i + 1) % n]];
    const d = Math.hypot(x2 - x1, y2 - y1);
    const [ux, uy] = [(x2 - x1) / d, (y2 - y1) / d];
    const side = n === 2 ? 5 : 0; // two arrows between two tasklets
    const [ax, ay] = [x1 + ux * 15 - uy * side, y1 + uy * 15 + ux * side];
    const [bx, by] = [x2 - ux * 16 - uy * side, y2 - uy * 16 + ux * side];
    g.append(svg('path', {d: `M${ax} ${ay}L${bx} ${by}M${bx - ux * 7 - uy * 4} ${by - uy * 7 + ux * 4}L${bx} ${by}L${bx - ux * 7 + uy * 4} ${by - uy * 7 - ux * 4}`}));
  }
  // No text: axe cannot tell the contrast of one in a drawing. The first of the list is the filled one at the top.
  at.forEach(([x, y], i) => g.append(svg('circle', {cx: x, cy: y, r: 11, class: i ? '' : 'first'})));
  return g;
}
