// The line between the product and its nats-server, as bad as it is wished to be. It understands the protocol as far as
// it must to lose one message and not its neighbours.

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

const CRLF = '\r\n';
/** Operations that are followed by bytes, whose number their last word says. */
const WITH_PAYLOAD = /^(PUB|HPUB|MSG|HMSG) /;

type Frame = Readonly<{ words: readonly string[]; bytes: Buffer }>;

/** Cuts what comes in pieces into whole operations. */
class Frames {
  private rest = Buffer.alloc(0);

  push(chunk: Buffer): Frame[] {
    this.rest = Buffer.concat([this.rest, chunk]);
    const frames: Frame[] = [];
    for (;;) {
      const end = this.rest.indexOf(CRLF);
      if (end < 0) return frames;
      const line = this.rest.toString('latin1', 0, end);
      const words = line.split(' ');
      const payload = WITH_PAYLOAD.test(line) ? Number(words.at(-1)) + CRLF.length : 0;
      const length = end + CRLF.length + payload;
      if (this.rest.length < length) return frames;
      frames.push({ words, bytes: this.rest.subarray(0, length) });
      this.rest = this.rest.subarray(length);
    }
  }
}

const EVENTS = 'evt.';

export class NatsLine {
  private readonly pairs = new Set<readonly [Socket, Socket]>();
  /** Where answers are awaited that will not come. */
  private readonly unheard = new Set<string>();
  private loses: (() => boolean) | undefined;
  private late_ms = 0;
  private lost = 0;

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async before(target_port: number): Promise<NatsLine> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const line = new NatsLine(server, address.port);
    server.on('connection', (client) => line.join(client, connect(target_port, '127.0.0.1')));
    return line;
  }

  /** How many acknowledgements of commits have been lost. */
  get lost_acks(): number {
    return this.lost;
  }

  /** From now on this share of commits is stored and not acknowledged. */
  loseAcks(share: number, random: () => number): void {
    this.loses = () => random() < share;
  }

  /** From now on everything that the server says comes late. */
  delay(milliseconds: number): void {
    this.late_ms = milliseconds;
  }

  heal(): void {
    this.loses = undefined;
    this.late_ms = 0;
  }

  /** Breaks every connection. */
  sever(): void {
    for (const [client, server] of this.pairs) {
      client.destroy();
      server.destroy();
    }
  }

  async close(): Promise<void> {
    this.sever();
    this.server.close();
    await once(this.server, 'close');
  }

  private join(client: Socket, server: Socket): void {
    const pair = [client, server] as const;
    this.pairs.add(pair);
    const [asked, told] = [new Frames(), new Frames()];
    client.on('data', (chunk: Buffer) => {
      for (const frame of asked.push(chunk)) {
        this.note(frame);
        server.write(frame.bytes);
      }
    });
    server.on('data', (chunk: Buffer) => {
      const heard = told.push(chunk).filter((frame) => !this.isLost(frame));
      if (heard.length === 0) return;
      const bytes = Buffer.concat(heard.map((frame) => frame.bytes));
      // Whatever is late waits as long as everything else, so that nothing overtakes.
      if (this.late_ms > 0) setTimeout(() => client.write(bytes), this.late_ms);
      else client.write(bytes);
    });
    for (const socket of pair) {
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.pairs.delete(pair);
        client.destroy();
        server.destroy();
      });
    }
  }

  /** `HPUB <subject> <reply> <bytes of headers> <bytes>` is a commit. */
  private note({ words: [operation, subject = '', reply] }: Frame): void {
    if (operation !== 'HPUB' || !subject.startsWith(EVENTS) || reply === undefined) return;
    if (this.loses?.()) this.unheard.add(reply);
  }

  private isLost({ words: [operation, subject = ''] }: Frame): boolean {
    if (operation !== 'MSG' && operation !== 'HMSG') return false;
    if (!this.unheard.delete(subject)) return false;
    this.lost += 1;
    return true;
  }
}
