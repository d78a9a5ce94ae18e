"""A front with TLS of a server on loopback: `tls_front.py CERTIFICATE KEY HOST:PORT`. Prints its own port, and ends with
its standard input."""

import os
import socket
import ssl
import sys
import threading


def copy(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(client, context, target):
    try:
        client = context.wrap_socket(client, server_side=True)
        server = socket.create_connection(target)
    except (OSError, ssl.SSLError):
        return
    threading.Thread(target=copy, args=(server, client), daemon=True).start()
    copy(client, server)


def accept(listener, context, target):
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, context, target), daemon=True).start()


certificate, key, target = sys.argv[1:]
host, port = target.split(":")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=accept, args=(listener, context, (host, int(port))), daemon=True).start()
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
os._exit(0)
