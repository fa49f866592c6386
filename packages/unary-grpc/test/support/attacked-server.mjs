/** An echo server in a process of its own, whose memory can be measured. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createUnaryServer } from '../../dist/index.js';

/** @type {string[]} */
let errors = [];
let calls = 0;

const server = createUnaryServer({
  methods: new Map([
    [
      '/test.Echo/Echo',
      {
        handle(message) {
          calls++;
          return message;
        },
      },
    ],
  ]),
  onConnectionError: (reason) => void errors.push(reason),
});

const bound = await server.listen({ host: '127.0.0.1', port: 0 });
process.on('message', async (command) => {
  if (command === 'shutdown') {
    void server.shutdown(60_000);
    process.send?.('shutting down');
    return;
  }
  globalThis.gc?.();
  // Memory outside of the heap is freed in the background.
  await sleep(50);
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  process.send?.({ bytes: heapUsed + external, peakBytes, errors, calls });
  errors = [];
});
process.on('disconnect', () => process.exit(0));
process.send?.({ port: typeof bound === 'string' ? bound : bound.port });
