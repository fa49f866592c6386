/**
 * Corrects the file descriptors that reflection serves. proto-loader creates them with protobufjs, which omits imports
 * and does not name map entries as protoc does, so clients reject them.
 */
import type { PackageDefinition } from '@grpc/proto-loader';
import descriptor from 'protobufjs/ext/descriptor/index.js';

/** The files of proto/ under proto-loader's names, one per package, in order of dependency. */
const FILES = [
  'google_protobuf.proto',
  'google_rpc.proto',
  'envoy_type_v3.proto',
  'envoy_config_core_v3.proto',
  'envoy_service_auth_v3.proto',
];

/** Returns a copy with corrected file descriptors. */
export function fixDescriptors(definition: PackageDefinition): PackageDefinition {
  const fixed: Record<string, unknown> = {};
  for (const [symbol, part] of Object.entries(definition)) {
    const files: unknown = part['fileDescriptorProtos'];
    fixed[symbol] = Array.isArray(files) ? { ...part, fileDescriptorProtos: files.map(fixFile) } : part;
  }
  return fixed as PackageDefinition;
}

interface MessageType {
  name: string;
  readonly field: { readonly name: string; typeName: string }[];
  readonly nestedType: MessageType[];
  readonly options: { readonly mapEntry: boolean } | null;
}

interface File {
  readonly name: string;
  dependency: string[];
  readonly messageType: MessageType[];
}

function fixFile(bytes: Buffer): Buffer {
  const message = descriptor.FileDescriptorProto.decode(bytes);
  const file = message as unknown as File;
  file.dependency = FILES.slice(0, Math.max(0, FILES.indexOf(file.name)));
  file.messageType.forEach(fixMapEntries);
  return Buffer.from(descriptor.FileDescriptorProto.encode(message).finish());
}

/** The entry message of a map field `some_map` is `SomeMapEntry` (protobuf.dev/programming-guides/proto3#backwards). */
function fixMapEntries({ field, nestedType }: MessageType): void {
  for (const nested of nestedType) {
    fixMapEntries(nested);
    const map = field.find(({ typeName }) => nested.options?.mapEntry && typeName === nested.name);
    if (map === undefined) continue;
    nested.name = `${map.name.replace(/(?:^|_)([a-z])/g, (_match, letter: string) => letter.toUpperCase())}Entry`;
    map.typeName = nested.name;
  }
}
