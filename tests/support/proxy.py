"""A loopback HTTP proxy in front of DynamoDB Local that counts requests and makes trouble on order.

    with Proxy(endpoint) as proxy:
        proxy.on("UpdateItem", drop_after, then_pass)   # the first two UpdateItems; the others pass
        proxy.always = date_shifted(3600)               # what happens to requests that no order is left for
        ... client talks to proxy.url ...
        proxy.operations()                              # ["UpdateItem", "UpdateItem"]

What happens to a request is an action: a function of the Exchange.  SPDX-License-Identifier: Apache-2.0
"""
import email.utils
import http.client
import json
import select
import socket
import threading
import time
import urllib.parse
import zlib


class Reply:
    def __init__(self, status=200, headers=(), body=b""):
        self.status = status
        self.headers = [(name, value) for name, value in headers
                        if name.lower() not in ("content-length", "transfer-encoding", "connection")]
        self.body = body

    def header(self, wanted):
        return next((value for name, value in self.headers if name.lower() == wanted.lower()), None)

    def set_header(self, wanted, value):
        """Replaces a header; None takes it out."""
        self.headers = [(name, old) for name, old in self.headers if name.lower() != wanted.lower()]
        if value is not None:
            self.headers.append((wanted, value))


class Request:
    """One request as it came in.  connection tells which connection it came on, from 1 up."""

    def __init__(self, connection, first_line, headers, body):
        self.connection = connection
        self.method, self.path = first_line.split(" ")[:2]
        self.headers = headers
        self.body = body
        self.operation = headers.get("x-amz-target", "").rpartition(".")[2]
        self.forwarded = False
        self.answered = False

    def json(self):
        return json.loads(self.body)


class Upstream:
    """The way to the server for what comes in on one connection: kept open, as the client keeps its own."""

    def __init__(self, url):
        self._url = url
        self._server = None

    def _connection(self):
        server = self._server
        if server is not None and (server.sock is None or select.select([server.sock], [], [], 0)[0]):
            server.close()  # the server has closed it
            server = None
        self._server = None
        return server or http.client.HTTPConnection(self._url.hostname, self._url.port, timeout=30)

    def ask(self, request):
        server = self._connection()
        headers = {name: value for name, value in request.headers.items() if name != "connection"}
        try:
            server.request(request.method, request.path, request.body, headers)
            request.forwarded = True
            answer = server.getresponse()
            reply = Reply(answer.status, answer.getheaders(), answer.read())
        except BaseException:
            server.close()
            raise
        self._server = server
        return reply

    def close(self):
        if self._server is not None:
            self._server.close()


class Exchange:
    """One request and what can be done about it."""

    def __init__(self, request, upstream, connection, stopping):
        self.request = request
        self.stopping = stopping
        self._upstream = upstream
        self._socket = connection
        self.closed = False

    def forward(self):
        """Carries the request to the server and returns its Reply, which has not been passed on yet."""
        return self._upstream.ask(self.request)

    def wait_until_client_leaves(self):
        while not self.stopping.is_set():
            if select.select([self._socket], [], [], 0.1)[0]:
                return

    def send(self, reply, cut_at=None):
        """Answers; CUT_AT bytes of the body only, and then no more."""
        lines = [f"HTTP/1.1 {reply.status} {http.client.responses.get(reply.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in reply.headers]
        lines += [f"Content-Length: {len(reply.body)}", "", ""]
        self.send_raw("\r\n".join(lines).encode("latin-1") + reply.body[:cut_at])
        self.request.answered = cut_at is None
        if cut_at is not None:
            self.close()

    def send_raw(self, data):
        self._socket.sendall(data)

    def close(self):
        """Ends the connection, answered or not."""
        self.closed = True

    def close_now(self):
        """The same before what else is to be done about the request."""
        self.close()
        self._socket.shutdown(socket.SHUT_RDWR)


# ---- Actions ----------------------------------------------------------------------------------------------------


def then_pass(exchange):
    exchange.send(exchange.forward())


def drop_before(exchange):
    """The request never reaches the server."""
    exchange.close()


def drop_after(exchange):
    """The server carries the request out, and its answer is lost."""
    exchange.forward()
    exchange.close()


def pass_and_close(exchange):
    then_pass(exchange)
    exchange.close()


def black_hole(exchange):
    """Nothing is ever heard of the request again."""
    exchange.wait_until_client_leaves()
    exchange.close()


def arrives_late(seconds):
    """The client is cut off at once; the server carries the request out later all the same."""
    def action(exchange):
        exchange.close_now()
        exchange.stopping.wait(seconds)
        exchange.forward()
    return action


def duplicated(after_s=0, answer_first=True):
    """The server gets the request twice; the client the first answer, or the second."""
    def action(exchange):
        reply = exchange.forward()
        if answer_first:
            exchange.send(reply)
        exchange.stopping.wait(after_s)
        again = exchange.forward()
        if not answer_first:
            exchange.send(again)
    return action


def delayed(seconds):
    def action(exchange):
        exchange.stopping.wait(seconds)
        then_pass(exchange)
    return action


def held_back(until, after_server=False):
    """Answers once the threading.Event UNTIL is set; the server is asked after that, or before."""
    def action(exchange):
        reply = exchange.forward() if after_server else None
        while not until.wait(0.02) and not exchange.stopping.is_set():
            pass
        exchange.send(reply or exchange.forward())
    return action


def answered(status=200, body=b"", headers=(), dated=True):
    """Answers by itself.  BODY: bytes, text, or an object that becomes JSON."""
    if not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    if isinstance(body, str):
        body = body.encode()

    def action(exchange):
        reply = Reply(status, headers, body)
        if reply.header("Content-Type") is None:
            reply.set_header("Content-Type", "application/x-amz-json-1.0")
        if dated and reply.header("Date") is None:
            reply.set_header("Date", http_date(time.time()))
        exchange.send(reply)
    return action


def refused(kind, message="", status=400):
    """An error of DynamoDB's, such as ThrottlingException."""
    return answered(status, {"__type": f"com.amazonaws.dynamodb.v20120810#{kind}", "message": message})


def html(status=200):
    return answered(status, "<!DOCTYPE html><html><body>Please sign in to the network</body></html>\n",
                    [("Content-Type", "text/html")])


def cut(share=0.5):
    """The server's real answer, of which only a part arrives."""
    def action(exchange):
        reply = exchange.forward()
        exchange.send(reply, int(len(reply.body) * share))
    return action


def changed(change):
    """The server's answer after CHANGE(reply)."""
    def action(exchange):
        reply = exchange.forward()
        change(reply)
        exchange.send(reply)
    return action


def changed_json(change):
    """The server's answer after CHANGE(object), which may return another object."""
    def change_body(reply):
        parsed = json.loads(reply.body)
        reply.body = json.dumps(change(parsed) or parsed).encode()
        reply.set_header("x-amz-crc32", None)
    return changed(change_body)


def wrong_crc(exchange):
    """The server's answer, under the checksum of another: a body damaged on its way."""
    changed(lambda reply: reply.set_header("x-amz-crc32", str(zlib.crc32(reply.body + b" "))))(exchange)


def http_date(seconds):
    return email.utils.formatdate(seconds, usegmt=True)


def without_date(exchange):
    changed(lambda reply: reply.set_header("Date", None))(exchange)


def date_shifted(seconds):
    """A server whose clock is fast by SECONDS (slow where they are negative)."""
    return changed(lambda reply: reply.set_header("Date", http_date(time.time() + seconds)))


# ---- The proxy --------------------------------------------------------------------------------------------------


class Proxy:
    """TLS: an ssl.SSLContext that speaks to the clients, or None: plain HTTP.  KEEP: whether to remember every
    request, for operations() and count()."""

    def __init__(self, endpoint, tls=None, keep=True):
        self._tls = tls
        self.tls_versions = []  # of each connection whose handshake succeeded
        self.always = then_pass
        self._keep = keep
        self.requests = []
        self.errors = []
        self._upstream = urllib.parse.urlsplit(endpoint)
        self._orders = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._connections = []
        self._connection_count = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._stopping.set()
        with self._lock:
            sockets = [self._listener, *self._connections]
        for each in sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()

    def on(self, operation, *actions):
        """Orders for the next requests of OPERATION ("*": of any), one each, in turn."""
        with self._lock:
            self._orders.setdefault(operation, []).extend(actions)

    def forget_requests(self):
        with self._lock:
            self.requests.clear()

    def forget_orders(self):
        with self._lock:
            self._orders.clear()

    def operations(self):
        """The operation of each request so far, in the order in which they came."""
        with self._lock:
            return [request.operation for request in self.requests]

    def count(self, operation=None):
        names = self.operations()
        return len(names) if operation is None else names.count(operation)

    def _accept(self):
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._connection_count += 1
                number = self._connection_count
                self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection, number):
        if self._tls is not None:
            try:
                secured = self._tls.wrap_socket(connection, server_side=True)
            except OSError as error:  # ssl.SSLError is one
                self.errors.append(error)
                connection.close()
                return
            with self._lock:
                self._connections.append(secured)
                if connection in self._connections:
                    self._connections.remove(connection)
                self.tls_versions.append(secured.version())
            connection = secured
        stream = connection.makefile("rb")
        upstream = Upstream(self._upstream)
        try:
            while self._serve_one(connection, stream, number, upstream):
                pass
        except (OSError, http.client.HTTPException) as error:
            if self._keep and not self._stopping.is_set():
                self.errors.append(error)
        finally:
            with self._lock:
                if connection in self._connections:
                    self._connections.remove(connection)
            stream.close()
            upstream.close()
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()

    def _serve_one(self, connection, stream, number, upstream):
        """True where another request may follow on this connection."""
        first_line = stream.readline(65536).decode("latin-1").strip()
        if not first_line:
            return False
        headers = {}
        while (line := stream.readline(65536).decode("latin-1").strip()):
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        request = Request(number, first_line, headers, stream.read(int(headers.get("content-length", "0"))))
        exchange = Exchange(request, upstream, connection, self._stopping)
        self._next_action(request)(exchange)
        return not exchange.closed and headers.get("connection", "").lower() != "close"

    def _next_action(self, request):
        with self._lock:
            if self._keep:
                self.requests.append(request)
            for name in (request.operation, "*"):
                if self._orders.get(name):
                    return self._orders[name].pop(0)
        return self.always
