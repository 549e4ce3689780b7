// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/commands.hpp"

namespace tenon::cli {

std::string help_text() {
    return R"(tenon operates a Tenon server.

Usage
  tenon COMMAND [--option VALUE]... [--data-dir DIR] [--json]

Commands
  check FILE                      everything that is wrong with a deployment (--set, --plugin-path)
  list [--deployment FILE]        plugins: of the running server, or else of the deployment
  status                          health of the running server
  verify [--account A] [--symbol S] [--listen ADDR:PORT]
                                  smoke test of the running server: public data, one order
  keys create --account A --permissions trade,read,admin [--type hmac|ed25519] [--public-key K] [--label L]
       [--addresses A,...]
  keys list, keys revoke --api-key K
  keys addresses --api-key K --addresses A,...
                                  where a key may be used from: 192.0.2.7, 10.0.0.0/8, 2001:db8::/32; any
  key status, key rotate [--batch N] [--finish]
                                  the master key: a new one seals every secret while the server runs;
                                  --finish ends it, and the old key is refused
  accounts open --account A, accounts list, accounts fund --account A --asset X --amount N
  accounts disable --account A [--keep-orders], accounts enable --account A
                                  the kill switch of an account: no order of it is taken, its open
                                  ones are cancelled
  instruments list, instruments halt|delist --symbol S [--keep-orders], instruments resume --symbol S
                                  the same for one instrument
  export trades --account A [--symbol S] [--from T] [--to T]
                                  an account's trades as CSV, oldest first; T as for journal at
  export statement --account A [--asset X] [--from T] [--to T]
                                  every change of its money as CSV: opening balance, deposits and
                                  withdrawals, both sides of each trade, fees, closing balance
  trading halt [--keep-orders], trading resume, trading status
                                  the same for all trading
  risk show [--account A]         the limits that are set
  risk set [--account A] [--symbol S] LIMIT..., risk clear [--account A] [--symbol S]
                                  limits of an account's orders, or of each account's, for a symbol or
                                  for each: --price-band-ppm N, --open-orders N, --order-rate N
                                  [--order-rate-ms N]; with a symbol also --order-notional X,
                                  --position X, --exposure X; 0 takes one away
  journal check, journal repair --confirm
  journal at TIME | --sequence N [--account A] [--symbol S]
                                  the state then: balances, open orders, books, the state's hash; read
                                  from the journal of a running or stopped server. TIME is 2026-05-04,
                                  2026-05-04T03:02:01.123Z, or milli- or nanoseconds since 1970
  journal replay [--from TIME | --from-sequence N] [--to TIME | --to-sequence N]
       [--risk JSON]... [--set POINTER=VALUE]... [--deployment FILE] [--show N]
                                  what would have come of it: the span's commands once as recorded
                                  and once under other settings or plugins (--set, --deployment) and
                                  risk limits (--risk '{"account":"bot1","symbol":"BTCUSDT",
                                  "position":"2"}'), compared; without any, a proof that they agree
  plugin check FILE.so...         conformance of a plugin (plugin check --help)
  migrate status|up|down|to|dry-run|verify|drift|repair|baseline|copy|import|new
                                  the schema of the database (migrate --help)
  load SCENARIO|compare|ab|page   load tests and their comparison (load --help)
  views check|rebuild             the daily summaries against the rows they are sums of
  integrity check [--full]        whether the database itself is whole
  archive run, archive list [NAME], archive verify [ID]
                                  old rows as compressed files: now, what there is, are they whole
  archive query NAME [--from T] [--to T] [--where COLUMN=VALUE]... [--format csv|json]
                                  their rows; NAME is trades, orders, candles_1m, ...; T is
                                  2026-05-04 or 2026-05-04T03:02:01Z
  archive restore ID|NAME [--from T] [--to T]
                                  back into the database, until they are released
  archive hold [NAME] --reason TEXT [--from T] [--to T], archive release ID
                                  nothing of it is deleted, whatever the retention says
  backup create [--label TEXT], backup list, backup verify [--id ID], backup drill
                                  the database's backups: one now, what there is, are they whole; drill
                                  tries a restore
  backup restore --folder PATH [--id ID] [--to-time T | --to-order N | --to-sequence N] [--timeline N]
                                  the database as it was then, into an empty folder; of SQLite with the
                                  engine's journal, as a data folder; --to-sequence of SQLite,
                                  --timeline of PostgreSQL; T is 2026-05-04T03:02:01Z
  backup prune [--dry-run], backup status, backup progress, backup cancel
                                  delete what the retention gives up; how much of the log is stored
                                  (PostgreSQL); what is done now (SQLite); end it
  jobs list [--queue Q] [--status S], jobs queues, jobs dead, jobs show --id N
                                  background jobs; S is queued, running, done or dead
  jobs replay --id N, jobs discard --id N
                                  a dead job: tried anew, or given up
  jobs schedule --name N --rule R --command "backup drill", jobs unschedule --name N, jobs schedules
                                  upkeep by time; R is "every 300s", "daily 04:30" or "cron 30 4 * * 1-5", UTC
  users add --name N --roles viewer,trader,operator [--accounts A,...], users list, users passwd --name N
                                  people of the console; their password is shown once
  users roles --name N --roles R,..., users disable --name N, users enable --name N
  log level [--plugin NAME] [--level trace|debug|info|warn|error|off]
  plugin new KIND NAME [--language c|c++] [--dir DIR] [--id ID]
                                  a project of a plugin, ready to build; KIND is cache-tier, throttle,
                                  storage, venue, feed, migrations, backup, gateway, monitor or plain
  plugin reload NAME [--watch-ms MS] [--reason TEXT]
                                  its new library into the running server; the old one goes on when
                                  the new one fails, or is unhealthy within the time (2000)
  reload [--dry-run]              read the deployment and the plugins' folders again; new settings and
                                  libraries are applied, or all of it is refused (SIGHUP does the same)
  settings list [--plugin NAME]   what can change live, and what was changed
  settings set PLUGIN POINTER VALUE, settings unset PLUGIN POINTER [--reason TEXT] [--dry-run]
                                  over the deployment, and back; kept in DATA_DIR/overrides.json
  flags list, flags on|off|reset NAME [--reason TEXT]
                                  optimisations, switched while the server runs; reset: as the deployment says
  audit verify, audit list [--count N]
                                  the log of who did what: is it whole, and its newest entries
  stop                            drain and stop the running server
  commands                        every command of the server and its plugins

Any other words are sent to the server as they are: `tenon a b --x y` runs its command a.b with
{"x":"y"}. When no server runs on the data folder, one is started without a listener for the length of
the command; status, verify, log level, reload, stop and commands want a running one.

Options
  --data-dir DIR     the server's folder (default: $TENON_DATA_DIR, else ./data)
  --deployment FILE  for a folder that no server has used yet (default: the conservative one)
  --set /pointer=value, --plugin-path DIR   as for tenond, when one is started
  --json             the answer as JSON; errors as {"error":{"code":…,"message":…}}

Exit codes
  0 done   1 the command was refused or failed, or a check found something wrong   2 wrong usage
  3 the deployment is wrong
  4 no server answers and none could be started
  5, 6 of load: the generator could not keep up; worse than what it was compared with
)";
}

}  // namespace tenon::cli
