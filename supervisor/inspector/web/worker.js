// One stream for all tabs of a browser: over HTTP/1.1 a browser opens six connections to a host. It runs as a SharedWorker,
// or in the page where there is none.

export class Hub {
  constructor() {
    this.clients = new Map(); // from a client to {views, seen}
    this.source = null;
    this.timer = 0;
    setInterval(() => this.sweep(), 20000);
  }

  // A client shows these views, and needs a snapshot of them. It sends a beat while it is seen, because a tab that has crashed
  // says nothing.
  set(client, views) {
    if (views.length) this.clients.set(client, {views, seen: Date.now()});
    else if (!this.clients.delete(client)) return;
    this.later(20);
  }

  beat(client) {
    const c = this.clients.get(client);
    if (c) c.seen = Date.now();
  }

  sweep() {
    for (const [client, c] of this.clients) if (Date.now() - c.seen > 180000) this.set(client, []);
  }

  later(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), ms);
  }

  open() {
    if (this.source) this.source.close();
    this.source = null;
    const views = [...new Set([...this.clients.values()].flatMap((c) => c.views))].slice(0, 8);
    if (!views.length) return;
    const source = new EventSource('api/stream?' + views.map((v) => 'view=' + encodeURIComponent(v)).join('&'));
    this.source = source;
    source.onopen = () => this.tell({status: 'live'});
    source.onerror = () => {
      if (this.source !== source) return;
      const over = source.readyState === 2;
      this.tell({status: over ? 'refused' : 'lost'});
      if (over) this.later(3000); // an answer such as 503 ends an EventSource
    };
    for (const kind of ['snapshot', 'change', 'problem']) {
      source.addEventListener(kind, (e) => {
        const data = JSON.parse(e.data);
        this.tell({kind, data}, data.view);
      });
    }
  }

  tell(message, view) {
    for (const [client, c] of this.clients) if (!view || c.views.includes(view)) client(message);
  }
}

if (typeof SharedWorkerGlobalScope !== 'undefined' && self instanceof SharedWorkerGlobalScope) {
  const hub = new Hub();
  self.onconnect = (e) => {
    const port = e.ports[0];
    const client = (message) => port.postMessage(message);
    port.onmessage = (m) => (m.data === 'beat' ? hub.beat(client) : hub.set(client, m.data));
  };
}
