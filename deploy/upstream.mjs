/** Owns the small API that compose and the Kubernetes try-out protect: it answers with what the service told it. */
import { createServer } from 'node:http';

const PORT = 8080;

const server = createServer((request, response) => {
  request.resume();
  // Nothing else of the request: a token or a log-in would then stand in whatever keeps the answer.
  const results = Object.entries(request.headers).filter(([name]) => name.startsWith('x-approov-'));
  response.writeHead(200, { 'content-type': 'application/json', 'x-from': 'upstream' });
  response.end(
    `${JSON.stringify({ method: request.method, path: request.url, ...Object.fromEntries(results) })}\n`,
  );
});

server.listen(PORT, '0.0.0.0');

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}
