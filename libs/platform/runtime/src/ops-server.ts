// Ops server: what this process says about itself, on 127.0.0.1 only and without a credential: nothing here changes
// anything, and nothing here is anybody's data.
//
//   /ready    yes or no: whether everything can be done, and new work may be sent here.
//   /health   in detail: 503 while starting and stopping, 200 while up, also when the log may only be read or something
//             else is away: a restart would mend nothing.
//   /metrics  for Prometheus.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { processReader, serveMetrics, type Logger } from '@nexusmon/telemetry';
import type { Health } from './health.js';

const HOST = '127.0.0.1';

export class OpsServer {
  private readonly server: Server;
  private readonly reading = processReader();

  constructor(
    private readonly health: Health,
    private readonly log: Logger,
    private readonly name: string,
  ) {
    this.server = createServer((request, response) => {
      this.answer(request, response).catch((error: unknown) => {
        this.log.error({ msg: 'ops request failed', url: request.url, error });
        response.destroy();
      });
    });
  }

  /** Returns the port: the asked one, or a free one for 0. */
  async listen(port: number): Promise<number> {
    this.server.listen(port, HOST);
    await once(this.server, 'listening');
    const address = this.server.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  }

  async close(): Promise<void> {
    if (!this.server.listening) return;
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?', 1)[0];
    if (path === '/metrics') serveMetrics(request, response);
    else if (path === '/ready') {
      const { ready } = await this.health.report();
      send(response, ready ? 200 : 503, { ready });
    } else if (path === '/health') {
      const report = await this.health.report();
      const is_up = report.status !== 'starting' && report.status !== 'stopping';
      send(response, is_up ? 200 : 503, { service: this.name, process: this.reading(), ...report });
    } else send(response, 404, { detail: 'there are /ready, /health and /metrics' });
  }
}

const send = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
};
