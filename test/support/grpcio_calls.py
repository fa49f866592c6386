"""Calls a method with grpcio: prints the status code of each call as a JSON object of counts, and the last answer.

Arguments: target, method, number of calls, and the folder of ca.pem, client.pem and client.key for TLS.
The message is read from stdin.
"""

import base64
import collections
import json
import sys
from pathlib import Path

import grpc

target, method, calls, *tls = sys.argv[1:]
message = sys.stdin.buffer.read()

if tls:
    read = lambda name: (Path(tls[0]) / name).read_bytes()
    credentials = grpc.ssl_channel_credentials(read("ca.pem"), read("client.key"), read("client.pem"))
    options = [("grpc.ssl_target_name_override", "localhost")]
    channel = grpc.secure_channel(target, credentials, options)
else:
    channel = grpc.insecure_channel(target)

counts = collections.Counter()
answer = b""
with channel:
    call = channel.unary_unary(method)
    pending = [call.future(message, timeout=60) for _ in range(int(calls))]
    for each in pending:
        counts[each.code().name] += 1
        if each.code() is grpc.StatusCode.OK:
            answer = each.result()
print(json.dumps({"counts": counts, "answer": base64.b64encode(answer).decode()}))
