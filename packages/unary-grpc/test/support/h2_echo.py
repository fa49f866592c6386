"""An echo method over gRPC on python-hyper/h2: the second opinion on what a stream of bytes means.

Prints the port it listens on, and runs until stdin is closed.
"""

import socket
import sys
import threading

import h2.config
import h2.connection
import h2.events
import h2.exceptions

PATH = b"/test.Echo/Echo"


def respond(connection, stream, fields, body):
    """Answers a complete request as a gRPC server does."""

    def fail(status):
        head = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", status)]
        connection.send_headers(stream, head, end_stream=True)

    if not fields.get(b"content-type", b"").startswith(b"application/grpc"):
        connection.send_headers(stream, [(":status", "415")], end_stream=True)
    elif fields[b":path"] != PATH:
        fail("12")
    elif len(body) < 5 or body[0] != 0 or int.from_bytes(body[1:5], "big") != len(body) - 5:
        fail("13")
    else:
        connection.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        return bytes(body)
    return None


class Streams:
    """What each open stream has received, and the part of its answer that waits for the client's window."""

    def __init__(self, connection):
        self.connection = connection
        self.requests = {}
        self.pending = {}

    def handle(self, event):
        stream = getattr(event, "stream_id", None)
        if isinstance(event, h2.events.RequestReceived):
            self.requests[stream] = (dict(event.headers), bytearray())
        elif isinstance(event, h2.events.DataReceived):
            self.requests[stream][1].extend(event.data)
            if event.flow_controlled_length:
                self.connection.acknowledge_received_data(event.flow_controlled_length, stream)
        elif isinstance(event, h2.events.StreamReset):
            self.requests.pop(stream, None)
            self.pending.pop(stream, None)
        elif isinstance(event, h2.events.StreamEnded) and stream in self.requests:
            answer = respond(self.connection, stream, *self.requests.pop(stream))
            if answer is not None:
                self.pending[stream] = answer
        self.flush()

    def flush(self):
        for stream, answer in list(self.pending.items()):
            while answer:
                window = self.connection.local_flow_control_window(stream)
                part = answer[: min(window, self.connection.max_outbound_frame_size)]
                if window <= 0:
                    break
                self.connection.send_data(stream, part)
                answer = answer[len(part) :]
            self.pending[stream] = answer
            if not answer:
                del self.pending[stream]
                self.connection.send_headers(stream, [("grpc-status", "0")], end_stream=True)


def serve(sock):
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    connection.initiate_connection()
    sock.sendall(connection.data_to_send())
    streams = Streams(connection)
    is_over = False
    while received := sock.recv(65536):
        if is_over:
            continue
        try:
            for event in connection.receive_data(received):
                is_over |= isinstance(event, h2.events.ConnectionTerminated)
                streams.handle(event)
        except h2.exceptions.ProtocolError:
            is_over = True
        sock.sendall(connection.data_to_send())
        if is_over:
            sock.shutdown(socket.SHUT_WR)
    sock.close()


def run(sock):
    try:
        serve(sock)
    except OSError:
        sock.close()


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def accept():
        while True:
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=run, args=(sock,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


main()
