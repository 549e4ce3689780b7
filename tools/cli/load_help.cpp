// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/load.hpp"

namespace tenon::cli {

std::string load_help() {
    return R"(tenon load asks a server as many users would, and says what they would have seen.

Usage
  tenon load SCENARIO [--target http://HOST:PORT] [--option VALUE]...
  tenon load compare A.json B.json [--metric M] [--p 0.01] [--effect 0.05] [--html FILE] [--force]
  tenon load ab URL_A URL_B [--scenario NAME] [--rounds 10] [--data-dir-b DIR] [options of a run]
  tenon load page RESULT.json PAGE.html

Scenarios
  market-data   prices, best prices, books, trades, candles, 24 h tickers of the symbols
  orders        each user places a limit order far from the market and cancels it, signed
  mixed         four reads for each order
  fanout        WebSocket subscribers: from an event's time ("E") to each of them (delivery), and
                from the first one to each other (spread); clocks must agree
  get           GETs of what --path names (may be repeated)

When each request is due is fixed before the first one leaves, from the seed. Latency counts from
then, not from when the request left, so a server that stops does not hide what it did to those who
came meanwhile. What was never sent or never answered counts with the time that it had waited.

Load
  --rate N            requests a second of all users together (1000); max: each user asks again as
                      soon as it was answered, which finds the most that the server gives
  --times N           as many times the rate (1): --times 10 is ten times the normal load
  --users N           users, a connection each (64)
  --arrivals A        poisson (independent users), constant, ramp (from --ramp-from, 0, to the rate)
  --duration S        seconds that count (10), after --warmup S that do not (2)
  --rounds N          so often (1); each round is one measurement for comparisons, of which eight a
                      side are needed; of a single round its windows are
  --seed N            of the schedule (random, and printed)
  --timeout S         of an answer (10)

What is asked
  --symbol S          may be repeated (the first four that trade); orders use the first
  --stream TARGET     of fanout, as /ws/btcusdt@trade (trades of the symbols); --users subscribe. A
                      server takes 300 connections of an address in five minutes; more when its
                      gateway/binance has connections_per_5_minutes set higher
  --key K --secret S  sign orders with this key; else keys are made over the admin socket of
                      --data-dir and revoked at the end: of --account (demo), or with more than 100
                      users of accounts load-1, load-2, … which are opened and funded (--accounts N)
  --data-dir DIR      of a server on this machine; its address is the target when none is given

Results
  --out FILE          the result as JSON (tools/load/README.md has its members)
  --html FILE         one page with plots
  --baseline FILE     compare with this result
  --json, --quiet     JSON on standard output; no lines of progress on standard error
  --errors-max X      share of errors that is still a success (0.01)

Comparisons
  Median of each figure, how many times A's B's is (Hodges-Lehmann), and how likely the difference
  is an accident (Mann-Whitney). B is worse when one --metric says so: server_cpu_us (per request,
  of servers with /metrics), p50_us, p99_us, mean_us, per_second; auto takes the first that is there.
  Both bars must be passed: p below --p and a difference of --effect.

A server counts weights and orders against its limits: load it with a deployment that has none
(etc/deployments/benchmark.json), or the answers are 429. Generator and server should not share a
core: pin them apart (taskset).

Exit codes
  0 done   1 failed, or more errors than --errors-max   2 wrong usage   4 no server answers
  5 the generator could not keep up: the figures are not the server's alone   6 worse
)";
}

}  // namespace tenon::cli
