# SPDX-License-Identifier: Apache-2.0
"""Clients that trade while a service is restarted; run where the service is (K7).

usage: restart_load.py KEY_JSON RESTARTS [SEED]

A request fails when its connection is refused, when a new connection ends without its answer, or when the answer is 5xx. A
connection that was used before and ends without a byte of an answer is opened anew and the request sent again, as HTTP clients
do (RFC 9112, 9.3.1): an order under the same client id, where the refusal of a duplicate says that it had been taken.

With SEED the process is killed at a random moment of each restart, and only a refused connection fails.

Prints one JSON object: requests, orders acknowledged, those not there afterwards, failures, the longest wait for an answer.
"""
import hashlib
import hmac
import http.client
import json
import random
import subprocess
import sys
import threading
import time
import urllib.parse

HOST = ("127.0.0.1", 8765)
ANSWER_S = 30
KEY = json.loads(sys.argv[1])
RESTARTS = int(sys.argv[2])
KILLS = random.Random(int(sys.argv[3])) if len(sys.argv) > 3 else None
DUPLICATE = -2010
# Of the own book: the paper market refuses orders until its feed has begun again.
SYMBOL = "ETHBTC"


class Client:
    """One client: `fresh` connects for each request, others keep their connection."""

    def __init__(self, fresh):
        self.fresh = fresh
        self.connection = None
        self.used = False
        self.asked = self.reopened = 0
        self.failed = []
        self.longest_s = 0.0

    def ask(self, method, path):
        began = time.monotonic()
        self.asked += 1
        while True:
            if self.connection is None:
                self.connection, self.used = http.client.HTTPConnection(*HOST, timeout=ANSWER_S), False
            try:
                self.connection.request(method, path, headers={"X-MBX-APIKEY": KEY["api_key"]})
                answer = self.connection.getresponse()
                status, body = answer.status, answer.read()
                break
            except (http.client.HTTPException, OSError) as error:
                self.connection.close()
                self.connection = None
                if not self.used and (KILLS is None or isinstance(error, ConnectionRefusedError)):
                    self.failed.append(f"{method} {path.split('?')[0]}: {error!r}")
                    return 0, {}
                self.reopened += 1
        self.used = True
        if self.fresh or answer.will_close:
            self.connection.close()
            self.connection = None
        self.longest_s = max(self.longest_s, time.monotonic() - began)
        if status >= 500:
            self.failed.append(f"{method} {path.split('?')[0]}: {status} {body[:200]!r}")
        return status, json.loads(body)

    def signed(self, method, path, **params):
        query = urllib.parse.urlencode({**params, "recvWindow": 60000, "timestamp": int(time.time() * 1000)})
        signature = hmac.new(KEY["secret"].encode(), query.encode(), hashlib.sha256).hexdigest()
        return self.ask(method, f"{path}?{query}&signature={signature}")


def trade(client, name, over, taken):
    number = 0
    while not over.is_set():
        order = f"{name}-{number}"
        number += 1
        reopened = client.reopened
        status, body = client.signed("POST", "/api/v3/order", symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC",
                                     quantity="0.01", price="0.05", newClientOrderId=order)
        again = client.reopened != reopened and body.get("code") == DUPLICATE
        if status == 200 or again:
            taken.append(order)
            client.signed("DELETE", "/api/v3/order", symbol=SYMBOL, origClientOrderId=order)
        elif status < 500:  # those are counted already
            client.failed.append(f"order {order}: {status} {body}")
        over.wait(0.2)


def look(client, over):
    while not over.is_set():
        client.ask("GET", "/api/v3/ticker/bookTicker?symbol=BTCUSDT")
        over.wait(0.02)


def restart():
    """One restart; what limits how often a service may start is about loops, not about this."""
    subprocess.run(["systemctl", "reset-failed", "tenon"], check=True)
    if KILLS is None:
        subprocess.run(["systemctl", "restart", "tenon"], check=True)
        return
    subprocess.run(["systemctl", "--no-block", "restart", "tenon"], check=True)
    time.sleep(KILLS.uniform(0, 1.2))
    subprocess.run(["systemctl", "kill", "-s", "KILL", "tenon"], check=False)
    while subprocess.run(["systemctl", "is-active", "--quiet", "tenon"], check=False).returncode != 0:
        time.sleep(0.02)


def main():
    over, taken = threading.Event(), []
    run = f"{time.time_ns():x}"  # client ids are of this run alone
    clients = [Client(fresh) for fresh in (False, False, True, True, False, True)]
    threads = [threading.Thread(target=trade, args=(client, f"{run}-{i}", over, taken)) for i, client in enumerate(clients[:4])]
    threads += [threading.Thread(target=look, args=(client, over)) for client in clients[4:]]
    for thread in threads:
        thread.start()
    for _ in range(RESTARTS):
        before = sum(client.asked for client in clients)
        restart()
        while sum(client.asked for client in clients) < before + 20 * len(clients):
            time.sleep(0.02)
    over.set()
    for thread in threads:
        thread.join()
    asker = Client(False)
    lost = [order for order in taken
            if asker.signed("GET", "/api/v3/order", symbol=SYMBOL, origClientOrderId=order)[0] != 200]
    print(json.dumps({"asked": sum(client.asked for client in clients), "orders": len(taken),
                      "reopened": sum(client.reopened for client in clients),
                      "failed": [each for client in clients for each in client.failed] + asker.failed,
                      "lost": lost, "longest_s": round(max(client.longest_s for client in clients), 3)}))


if __name__ == "__main__":
    main()
