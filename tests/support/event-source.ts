// Server-sent events, read as the specification says and no more kindly.

export type ServerEvent = Readonly<{ id: string; event: string; data: Record<string, unknown> }>;

export class EventSource {
  readonly events: ServerEvent[] = [];
  comments = 0;
  /** As a browser would send it when it comes back. */
  last_event_id = '';
  private readonly abort = new AbortController();
  private readonly wakers = new Set<() => void>();
  private over = false;

  static async open(url: string, headers: Record<string, string>): Promise<EventSource> {
    const source = new EventSource();
    const response = await fetch(url, {
      headers: { accept: 'text/event-stream', 'user-agent': 'nexusmon-tests', ...headers },
      signal: source.abort.signal,
    });
    if (response.status !== 200 || !response.body) throw new Error(`${response.status} ${await response.text()}`);
    void source.read(response.body);
    return source;
  }

  /** Until `done` holds; fails after `seconds` with what came. */
  async until(done: (events: readonly ServerEvent[]) => boolean, seconds = 30): Promise<readonly ServerEvent[]> {
    const deadline = Date.now() + seconds * 1_000;
    while (!done(this.events)) {
      if (this.over || Date.now() > deadline)
        throw new Error(
          `${this.over ? 'the stream ended' : 'time is over'}: ${JSON.stringify(this.events).slice(0, 4_000)}`,
        );
      await this.change(deadline);
    }
    return this.events;
  }

  /** Until the server has ended the stream. */
  async ended(seconds = 30): Promise<void> {
    const deadline = Date.now() + seconds * 1_000;
    while (!this.over) {
      if (Date.now() > deadline) throw new Error('the stream is still open');
      await this.change(deadline);
    }
  }

  close(): void {
    this.abort.abort();
  }

  private change(deadline: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.wakers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, Math.max(0, deadline - Date.now()));
      this.wakers.add(done);
    });
  }

  private async read(body: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let text = '';
    try {
      for await (const chunk of body) {
        text += decoder.decode(chunk, { stream: true });
        const blocks = text.split('\n\n');
        text = blocks.pop() ?? '';
        for (const block of blocks) this.take(block);
        this.wake();
      }
    } catch (error) {
      // Cut off by us, or by a server that was killed: either way it is over.
      if (!(error instanceof Error)) throw error;
    }
    this.over = true;
    this.wake();
  }

  private wake(): void {
    for (const waker of [...this.wakers]) waker();
  }

  private take(block: string): void {
    let event = 'message';
    let data = '';
    for (const line of block.split('\n')) {
      const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
      if (name === '') this.comments += 1;
      if (name === 'id') this.last_event_id = value;
      if (name === 'event') event = value;
      if (name === 'data') data += value;
    }
    if (data === '') return;
    this.events.push({ id: this.last_event_id, event, data: JSON.parse(data) as Record<string, unknown> });
  }
}
