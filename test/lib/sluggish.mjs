// A TCP server that answers as slowly as it is told to, and knows who is still connected.
import net from 'node:net';

export class Sluggish {
  // speak(socket): what to do with a connection.
  static async start(speak) {
    const one = new Sluggish();
    one.speak = speak;
    one.open = new Set();
    one.seen = 0;
    one.watchers = [];
    one.server = net.createServer((socket) => {
      one.open.add(socket);
      one.seen += 1;
      socket.on('error', () => {}).on('close', () => one.open.delete(socket));
      for (const watch of one.watchers) watch();
      one.speak(socket);
      socket.on('data', () => {}); // or its end would not be seen
    });
    await new Promise((resolve) => one.server.listen(0, '127.0.0.1', resolve));
    one.port = one.server.address().port;
    return one;
  }

  // Until so many have connected, ever.
  until(seen) {
    return new Promise((resolve) => {
      const watch = () => this.seen >= seen && resolve();
      this.watchers.push(watch);
      watch();
    });
  }

  // Until nobody is connected any more.
  async closed() {
    await Promise.all([...this.open].map((socket) => new Promise((resolve) => socket.on('close', resolve))));
  }

  async down() {
    for (const socket of this.open) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

// A byte at a time, the text over and over, for as long as somebody is there.
export const drip = (text, every_ms = 50) => (socket) => {
  const bytes = Buffer.from(text);
  let at = 0;
  const timer = setInterval(() => socket.write(bytes.subarray(at % bytes.length, (at++ % bytes.length) + 1)), every_ms);
  socket.on('close', () => clearInterval(timer));
};

// What has come from another server, a byte at a time.
export const dripFrom = (port, every_ms = 50) => (socket) => {
  const from = net.connect(port, '127.0.0.1');
  const queue = [];
  const timer = setInterval(() => queue.length > 0 && socket.write(Buffer.of(queue.shift())), every_ms);
  from.on('data', (chunk) => queue.push(...chunk)).on('error', () => {});
  socket.on('data', (chunk) => from.write(chunk)).on('close', () => {
    clearInterval(timer);
    from.destroy();
  });
};

export const passTo = (port) => (socket) => {
  const to = net.connect(port, '127.0.0.1').on('error', () => socket.destroy());
  socket.pipe(to).pipe(socket);
};

export const silent = () => {};
export const saysThenStalls = (text) => (socket) => socket.write(text);
