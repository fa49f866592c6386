/** A small API to protect in compose and the Kubernetes trial: it responds with the result headers that it received. */
import { createServer } from 'node:http';

const PORT = 8080;

const server = createServer((request, response) => {
  request.resume();
  // Result headers only: a token or credential must not end up in the response, which clients may log.
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
