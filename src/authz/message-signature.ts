/** Defines what a policy asks of message signatures. */
import type { MessageSignatureOptions } from '../approov/message-signature/options.ts';
import type { ReplayScope } from './replay.ts';

/** Each field as in the configuration, and the policy's token header. */
export interface MessageSignaturePolicy extends MessageSignatureOptions {
  readonly replay: 'off' | ReplayScope;
  /** Of the URL that the client requested. */
  readonly externalScheme: 'http' | 'https';
  /** `null`: as in the request. */
  readonly externalHost: string | null;
}
