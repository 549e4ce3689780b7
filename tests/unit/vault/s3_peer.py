# SPDX-License-Identifier: Apache-2.0
"""A small S3 store for tests: objects in memory, every signature verified with its own code.

It prints its port. Commands on standard input, one a line, each answered with "ok":
  fail STATUS COUNT    the next COUNT requests are answered with STATUS
  cut COUNT            the connection of the next COUNT requests is closed after the request
  full                 every PUT is answered 507 InsufficientStorage;  free ends that
  flip KEY             one bit of an object changes
"""
import hashlib
import hmac
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

SECRET, KEY_ID, REGION, BUCKET = "wJalr-test/secret", "AKIDTEST", "eu-test-1", "bucket"
objects, plan = {}, {"fail": [], "cut": 0, "full": False}
lock = threading.Lock()


def digest(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", length=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status, code, message):
        self.answer(status, f"<?xml version=\"1.0\"?><Error><Code>{code}</Code>"
                            f"<Message>{escape(message)}</Message></Error>".encode())

    def wrong_signature(self, body):
        """Why the request is not signed as it must be, or None."""
        head = self.headers
        if head.get("x-amz-content-sha256") != hashlib.sha256(body).hexdigest():
            return "XAmzContentSHA256Mismatch"
        path, _, query = self.path.partition("?")
        pairs = sorted(pair if "=" in pair else pair + "=" for pair in query.split("&") if pair)
        fields = dict(part.strip().split("=", 1)
                      for part in head.get("Authorization", "").split(" ", 1)[-1].split(","))
        signed = fields.get("SignedHeaders", "").split(";")
        if not {"host", "x-amz-content-sha256", "x-amz-date"} <= set(signed):
            return "AccessDenied"
        canonical = "\n".join([self.command, path, "&".join(pairs),
                               *[f"{name}:{head[name].strip()}" for name in signed], "",
                               ";".join(signed), head["x-amz-content-sha256"]])
        date = head["x-amz-date"]
        scope = f"{date[:8]}/{REGION}/s3/aws4_request"
        if fields.get("Credential") != f"{KEY_ID}/{scope}":
            return "InvalidAccessKeyId"
        key = ("AWS4" + SECRET).encode()
        for step in scope.split("/"):
            key = digest(key, step)
        text = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        if not hmac.compare_digest(digest(key, text).hex(), fields.get("Signature", "")):
            return "SignatureDoesNotMatch"
        return None

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with lock:
            if plan["cut"] > 0:
                plan["cut"] -= 1
                self.close_connection = True
                return
            if plan["fail"]:
                status = plan["fail"].pop()
                return self.error(status, "SlowDown", "later")
            wrong = self.wrong_signature(body)
            if wrong:
                return self.error(403, wrong, "refused")
            url = urllib.parse.urlsplit(self.path)
            _, bucket, *key = urllib.parse.unquote(url.path).split("/", 2)
            if bucket != BUCKET:
                return self.error(404, "NoSuchBucket", bucket)
            if not key:
                return self.list(urllib.parse.parse_qs(url.query))
            self.one(key[0], body)

    def one(self, key, body):
        if self.command == "PUT":
            if plan["full"]:
                return self.error(507, "InsufficientStorage", "no room")
            objects[key] = body
            return self.answer(200)
        if self.command == "DELETE":
            objects.pop(key, None)
            return self.answer(204)
        if key not in objects:
            return self.error(404, "NoSuchKey", key)
        self.answer(200, objects[key])

    def list(self, query):
        prefix = query.get("prefix", [""])[0]
        after = query.get("continuation-token", [""])[0]
        keys = sorted(key for key in objects if key.startswith(prefix) and key > after)
        page = keys[:3]
        parts = [f"<Contents><Key>{escape(key)}</Key><Size>{len(objects[key])}</Size></Contents>" for key in page]
        more = len(keys) > len(page)
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        self.answer(200, ("<?xml version=\"1.0\"?><ListBucketResult>" + "".join(parts) + token
                          + f"<IsTruncated>{str(more).lower()}</IsTruncated></ListBucketResult>").encode())

    do_GET = do_PUT = do_HEAD = do_DELETE = serve


def command(words):
    with lock:
        if words[0] == "fail":
            plan["fail"] = [int(words[1])] * int(words[2])
        elif words[0] == "cut":
            plan["cut"] = int(words[1])
        elif words[0] in ("full", "free"):
            plan["full"] = words[0] == "full"
        elif words[0] == "flip":
            old = objects[words[1]]
            objects[words[1]] = old[:-1] + bytes([old[-1] ^ 1])


ThreadingHTTPServer.request_queue_size = 64
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
for line in sys.stdin:
    command(line.split())
    print("ok", flush=True)
