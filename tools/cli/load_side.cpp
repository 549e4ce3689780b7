// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/load_side.hpp"

#include "tools/cli/admin_client.hpp"
#include "tools/cli/http_client.hpp"
#include "tools/cli/verify.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <utility>

namespace tenon::cli {

namespace json = boost::json;

namespace {

constexpr std::size_t k_symbols_max = 4;
constexpr std::uint32_t k_users_of_account = 100;  // below what a symbol allows in open orders
constexpr const char* k_funds = "1000000";

std::string text(const json::value& value) {
    return value.is_string() ? std::string{value.get_string()} : json::serialize(value);
}

json::value get(const std::string& address, const std::string& target) {
    const HttpAnswer answer = http_request(address, "GET", target);
    if (answer.status != 200) {
        throw std::runtime_error{
            "GET " + target + " answered " + std::to_string(answer.status) + " " +
            answer.body.substr(0, 300)};
    }
    return json::parse(answer.body);
}

std::int64_t real_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch()
    )
        .count();
}

std::int64_t nanoseconds(double seconds) {
    return static_cast<std::int64_t>(seconds * 1e9);
}

AdminClient admin_of(const std::filesystem::path& data_dir) {
    auto client = AdminClient::connect(data_dir);
    if (!client) {
        throw NoServer{
            "no server answers on " + data_dir.string() +
            ", which is needed to make keys (or give --key and --secret)"};
    }
    return std::move(*client);
}

// Orders are a fifth of what a mixed load asks.
constexpr std::uint32_t k_mixed_reads_per_order = 4;

load::GeneratorOptions
generator_options(const LoadOptions& options, const std::string& address, std::uint64_t seed) {
    load::GeneratorOptions out;
    out.address = load::address_of(address);
    out.users = options.question.users;
    out.warmup_ns = nanoseconds(options.question.warmup_s);
    out.duration_ns = out.warmup_ns + nanoseconds(options.question.duration_s);
    out.timeout_ns = nanoseconds(options.timeout_s);
    // About sixty windows, or two hundred of what is short, so that each has enough in it.
    out.window_ns = std::clamp<std::int64_t>(
        nanoseconds(options.question.duration_s) / 60, 100'000'000, 60'000'000'000
    );
    out.seed = seed;
    return out;
}

}  // namespace

LoadSide::LoadSide(LoadOptions options, std::filesystem::path data_dir)
    : options_{std::move(options)}, data_dir_{std::move(data_dir)} {
    find_address();
    options_.question.target = address_;
    result_.question = options_.question;
    if (options_.question.scenario == "fanout") {
        result_.operations = {load::k_delivery, load::k_spread};
        return;
    }
    try {
        make_workload();
        generator_ = std::make_unique<load::Generator>(
            generator_options(options_, address_, options_.question.seed), *workload_
        );
    } catch (...) {
        end();
        throw;
    }
    result_.operations = workload_->operations();
}

LoadSide::~LoadSide() {
    end();
}

void LoadSide::find_address() {
    address_ = options_.question.target;
    if (address_.empty()) {
        std::ifstream file{data_dir_ / "listen"};
        (void)std::getline(file, address_);
    }
    if (address_.empty()) {
        throw UsageError{"--target http://HOST:PORT is needed: no server listens by --data-dir"};
    }
    address_ = load::address_of(address_).text;
}

void LoadSide::make_workload() {
    const std::string& scenario = options_.question.scenario;
    if (scenario == "get") {
        std::vector<load::Target> targets;
        for (const std::string& path : options_.paths) {
            targets.push_back({path, path, 1});
        }
        workload_ = load::make_gets(address_, targets);
        return;
    }
    if (scenario == "market-data") {
        workload_ = load::make_gets(address_, load::market_data_targets(symbols()));
        return;
    }
    workload_ = load::make_orders(desk());
}

std::vector<std::string> LoadSide::symbols() {
    std::vector<std::string> out = options_.symbols;
    const json::value info = get(address_, "/api/v3/exchangeInfo");
    for (const json::value& symbol : info.at("symbols").as_array()) {
        if (options_.symbols.empty() && out.size() < k_symbols_max &&
            symbol.at("status") == json::value("TRADING")) {
            out.push_back(text(symbol.at("symbol")));
        }
    }
    if (out.empty()) {
        throw std::runtime_error{"no symbol trades"};
    }
    return out;
}

load::OrderDesk LoadSide::desk() {
    load::OrderDesk desk;
    desk.host = address_;
    const std::vector<std::string> traded = symbols();
    desk.symbol = symbol_ = traded.front();
    const json::value info = get(address_, "/api/v3/exchangeInfo?symbol=" + desk.symbol);
    const json::object& symbol = info.at("symbols").as_array().at(0).as_object();
    const json::value ticker = get(address_, "/api/v3/ticker/price?symbol=" + desk.symbol);
    const FarOrder far = far_order(symbol, text(ticker.at("price")));
    desk.price = far.price;
    desk.quantity = far.quantity;
    ahead_ms_ =
        get(address_, "/api/v3/time").at("serverTime").to_number<std::int64_t>() - real_ms();
    desk.real_ms = [ahead = ahead_ms_] { return real_ms() + ahead; };
    desk.users = options_.question.users;
    desk.prefix = "load" + std::to_string(real_ms() % 100'000'000);
    if (options_.question.scenario == "mixed") {
        desk.reads = load::market_data_targets(traded);
        std::uint32_t sum = 0;
        for (const load::Target& read : desk.reads) {
            sum += read.weight;
        }
        desk.weight = sum / k_mixed_reads_per_order;
    }
    if (!options_.key.empty()) {
        keys_ = {{options_.key, options_.secret}};
    } else {
        make_keys(text(symbol.at("quoteAsset")));
    }
    desk.keys = keys_;
    return desk;
}

// A key for each hundred users: of the account that was named, or of accounts of our own.
void LoadSide::make_keys(const std::string& quote_asset) {
    AdminClient admin = admin_of(data_dir_);
    const std::uint32_t needed =
        options_.accounts > 0
            ? options_.accounts
            : (options_.question.users + k_users_of_account - 1) / k_users_of_account;
    keys_made_ = true;
    json::value known = admin.run("accounts.list", {});
    for (std::uint32_t i = 0; i < needed; ++i) {
        const std::string account =
            needed == 1 ? options_.account : "load-" + std::to_string(i + 1);
        if (needed > 1 && json::serialize(known).find('"' + account + '"') == std::string::npos) {
            (void)admin.run("accounts.open", {{"account", account}});
            (void)admin.run(
                "accounts.fund", {{"account", account}, {"asset", quote_asset}, {"amount", k_funds}}
            );
        }
        const json::value made = admin.run(
            "keys.create",
            {{"account", account},
             {"permissions", json::array{"trade", "read"}},
             {"type", "hmac"},
             {"label", "tenon load"}}
        );
        keys_.push_back({text(made.at("api_key")), text(made.at("secret"))});
    }
}

// Whatever happened, no order and no key of ours stays behind; others of the account are not
// touched.
void LoadSide::end() noexcept {
    generator_.reset();
    try {
        cancel_left();
    } catch (const std::exception& e) {
        (void
        )std::fprintf(stderr, "tenon load: orders of %s stay: %s\n", symbol_.c_str(), e.what());
    }
    if (!keys_made_) {
        return;
    }
    try {
        AdminClient admin = admin_of(data_dir_);
        for (const load::Credentials& key : keys_) {
            (void)admin.run("keys.revoke", {{"api_key", key.api_key}});
        }
    } catch (const std::exception& e) {
        (void)std::fprintf(stderr, "tenon load: keys are not revoked: %s\n", e.what());
    }
}

void LoadSide::cancel_left() const {
    if (workload_ == nullptr || keys_.empty()) {
        return;
    }
    for (const load::Workload::Left& order : workload_->left()) {
        const load::Credentials& key = keys_[order.user % keys_.size()];
        std::string query = "symbol=" + symbol_ + "&origClientOrderId=" + order.client_id +
                            "&recvWindow=60000&timestamp=" + std::to_string(real_ms() + ahead_ms_);
        query += "&signature=" + hmac_sha256_hex(key.secret, query);
        // Refused: it never came to rest.
        (void)http_request(
            address_, "DELETE", "/api/v3/order?" + query, {"X-MBX-APIKEY: " + key.api_key}
        );
    }
}

// What the server's process has used; 0 when it does not tell.
double LoadSide::server_cpu_s() const {
    constexpr std::string_view k_name = "\ntenon_process_cpu_seconds_total ";
    try {
        const HttpAnswer answer = http_request(address_, "GET", "/metrics");
        const auto at = answer.body.find(k_name);
        if (answer.status == 200 && at != std::string::npos) {
            return std::strtod(answer.body.c_str() + at + k_name.size(), nullptr);
        }
    } catch (const std::exception&) {
        return 0;  // another server's address: it need not have metrics
    }
    return 0;
}

void LoadSide::round(const std::string& name) {
    const auto report = [&](const load::Progress& now) {
        (void)std::fprintf(
            stderr,
            "%s%4.0f s  sent %llu  answered %llu  errors %llu  waiting %llu  p50 %.0f us  p99 %.0f "
            "us\n",
            name.c_str(),
            static_cast<double>(now.at_ns) / 1e9,
            static_cast<unsigned long long>(now.sent),
            static_cast<unsigned long long>(now.answered),
            static_cast<unsigned long long>(now.errors),
            static_cast<unsigned long long>(now.waiting),
            static_cast<double>(now.p50_ns) / 1e3,
            static_cast<double>(now.p99_ns) / 1e3
        );
    };
    const double before = server_cpu_s();
    const load::Run run =
        requests(options_.quiet ? load::Generator::Report{} : load::Generator::Report{report});
    const double after = server_cpu_s();
    // What the warm-up used is in it: of the requests that were asked for in all, a share.
    const load::Question& asked = options_.question;
    const double share = asked.duration_s / (asked.duration_s + asked.warmup_s);
    const double used = before > 0 && after > before ? (after - before) * share : 0;
    result_.rounds.push_back(load::sample_of(run, used));
    result_.run.add(run);
}

// Of a few symbols, unless a stream was named; in microseconds, which Tenon gives when asked.
load::Run LoadSide::fan_out(const load::Generator::Report& report) {
    std::string target = options_.stream;
    if (target.empty()) {
        for (std::string symbol : symbols()) {
            std::transform(symbol.begin(), symbol.end(), symbol.begin(), [](unsigned char c) {
                return static_cast<char>(std::tolower(c));
            });
            target += (target.empty() ? "/stream?streams=" : "/") + symbol + "@trade";
        }
        target += "&timeUnit=MICROSECOND";
    }
    const load::GeneratorOptions like = generator_options(options_, address_, 0);
    load::FanOutOptions options{
        like.address,
        target,
        like.users,
        like.warmup_ns,
        like.duration_ns,
        like.timeout_ns,
        like.window_ns};
    return load::fan_out(options, report);
}

load::Run LoadSide::requests(const load::Generator::Report& report) {
    const load::Question& asked = options_.question;
    if (asked.scenario == "fanout") {
        return fan_out(report);
    }
    if (asked.rate == 0) {
        return generator_->closed(report);
    }
    load::ScheduleOptions schedule;
    schedule.arrivals = load::arrivals_of(asked.arrivals);
    schedule.rate = asked.rate * asked.times;
    schedule.ramp_from = options_.ramp_from * asked.times;
    schedule.duration_ns = nanoseconds(asked.warmup_s) + nanoseconds(asked.duration_s);
    schedule.users = asked.users;
    schedule.seed = asked.seed + result_.rounds.size();
    schedule.weights = workload_->weights();
    return generator_->open(load::make_schedule(schedule), report);
}

}  // namespace tenon::cli
