// SPDX-License-Identifier: Apache-2.0
// Each rule of the advisor: it speaks on its evidence, and is silent as soon as one part of that is
// missing or so small that it may be chance; what it turns goes back to what it was.
#include "plugins/monitor/advisor/rules.hpp"

#include "plugins/monitor/advisor/tuner.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/monitor/advisor/simulated_server.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace tenon;
using namespace tenon::advisor;
using Catch::Contains;
using tenon::test::SimulatedServer;

namespace {

namespace json = boost::json;

constexpr std::int64_t k_mega = SimulatedServer::k_mega;
constexpr std::int64_t k_searched_ms = 600'000;  // between searches for indexes
constexpr std::size_t k_looks = 5;               // ten seconds apart

// What a server did in 40 seconds.
struct Evidence {
    using Series = std::pair<std::string, std::map<std::string, std::string, std::less<>>>;

    std::map<Series, double> grew;                  // counters: by how much
    std::map<std::string, std::vector<double>> is;  // gauges: at each look, or one for all
    double entries = 10;                            // of the cache "rules"
    std::string caches = R"([{"name":"rules","ttl_ms":2000}])";
    std::int64_t memory = 50 * k_mega;
    std::string level = "moderate";

    Evidence& cpu(double share) {  // of two processors
        grew[{"tenon_process_cpu_seconds_total", {}}] = share * 2 * 40;
        return *this;
    }

    Evidence& count(
        const std::string& family,
        double more,
        std::map<std::string, std::string, std::less<>> labels = {}
    ) {
        grew[{family, std::move(labels)}] = more;
        return *this;
    }

    Evidence& gauge(const std::string& family, std::vector<double> values) {
        is[family] = std::move(values);
        return *this;
    }

    // All observations of a histogram take about so long.
    Evidence& took(const std::string& histogram, double seconds, double observations) {
        for (const auto& [bound, text] :
             {std::pair{0.001, "0.001"}, {0.01, "0.01"}, {0.1, "0.1"}, {1.0, "1"}, {1e9, "+Inf"}}) {
            count(histogram + "_bucket", bound < seconds ? 0 : observations, {{"le", text}});
        }
        return *this;
    }

    [[nodiscard]] std::deque<Snapshot> snapshots() const {
        std::deque<Snapshot> out;
        for (std::size_t i = 0; i < k_looks; ++i) {
            Snapshot one;
            one.at_ms = 1'000'000 + static_cast<std::int64_t>(i) * 10'000;
            const double part = static_cast<double>(i) / (k_looks - 1);
            for (const auto& [series, more] : grew) {
                one.families[series.first].push_back({series.second, 7 + more * part});
            }
            for (const auto& [family, values] : is) {
                one.families[family] = {{{}, values[std::min(i, values.size() - 1)]}};
            }
            one.families["tenon_system_cpus"] = {{{}, 2}};
            one.families["tenon_cache_entries"] = {{{{"cache", "rules"}}, entries}};
            out.push_back(std::move(one));
        }
        return out;
    }

    [[nodiscard]] SettingsView settings() const {
        const auto setting = [](std::string_view plugin, std::string_view pointer, json::value value
                             ) {
            return json::object{
                {"plugin", plugin},
                {"pointer", pointer},
                {"value", value},
                {"deployment", value},
                {"overridden", false}};
        };
        const json::value plugins = json::parse(R"([{"name":"memory","id":"tenon.cache.memory"},
            {"name":"cache","id":"tenon.cache.stack"},
            {"name":"throttle","id":"tenon.throttle.token-bucket"}])");
        const json::object all{
            {"settings",
             json::array{
                 setting("memory", "/bytes_max", memory),
                 setting("cache", "/caches", json::parse(caches)),
                 setting("throttle", "/level", json::value(level))}}};
        return {
            all,
            plugins,
            {{"tenon.cache.memory/bytes_max", k_mega, 1'024 * k_mega, {}},
             {"tenon.cache.stack/caches/ttl_ms", 1'000, 3'600'000, {}},
             {"tenon.throttle.token-bucket/level",
              {},
              {},
              {"conservative", "moderate", "aggressive"}}}};
    }

    [[nodiscard]] std::vector<Recommendation> judged() const {
        return recommend(snapshots(), settings());
    }
};

using Change = std::function<void(Evidence&)>;

const Recommendation* find(const std::vector<Recommendation>& all, std::string_view kind) {
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.kind == kind; });
    return found == all.end() ? nullptr : &*found;
}

// What everybody who reads it needs, and that the knob's inverse gives back what there was.
void check_whole(const Recommendation& one, const SettingsView& settings) {
    INFO(one.id());
    CHECK_FALSE(one.title.empty());
    CHECK_FALSE(one.evidence.empty());
    CHECK_FALSE(one.risk.empty());
    CHECK_FALSE(one.numbers.empty());
    CHECK((one.confidence > 0 && one.confidence < 1));
    CHECK(one.applicable() == one.knob.has_value());
    CHECK(one.promise.has_value() == one.knob.has_value());
    CHECK(one.target.empty() == one.knob.has_value());
    if (!one.knob) {
        return;
    }
    CHECK(one.promise->effect > 0);
    CHECK(settings.value_of(*one.knob) == one.from);
    CHECK_FALSE(one.to == one.from);
    CHECK(settings.refusal(*one.knob, one.to).empty());
    CHECK(settings.refusal(*one.knob, one.from).empty());
    const json::value before = settings.of(*one.knob)->value;
    const json::value after = settings.with(*one.knob, one.to);
    CHECK_FALSE(after == before);
    const json::object all{
        {"settings",
         json::array{json::object{
             {"plugin", one.knob->plugin},
             {"pointer", one.knob->pointer},
             {"value", after},
             {"deployment", before},
             {"overridden", true}}}}};
    json::array plugins;
    plugins.push_back(json::object{{"name", one.knob->plugin}, {"id", "any"}});
    CHECK(SettingsView(all, plugins, {}).with(*one.knob, one.from) == before);
}

// It speaks on the evidence, and no more after each of the changes.
void check_rule(
    std::string_view kind,
    const Evidence& evidence,
    const std::vector<std::pair<std::string, Change>>& silencers
) {
    const auto all = evidence.judged();
    const Recommendation* const one = find(all, kind);
    INFO(kind);
    REQUIRE(one != nullptr);
    CHECK(std::count_if(all.begin(), all.end(), [&](const auto& each) {
              return each.kind == kind;
          }) == 1);
    check_whole(*one, evidence.settings());
    CHECK(find(Evidence{}.judged(), kind) == nullptr);
    for (const auto& [why, change] : silencers) {
        Evidence less = evidence;
        change(less);
        INFO("silent: " << why);
        CHECK(find(less.judged(), kind) == nullptr);
    }
}

Change
count(std::string family, double more, std::map<std::string, std::string, std::less<>> by = {}) {
    return [=](Evidence& e) { e.count(family, more, by); };
}

Change gauge(std::string family, std::vector<double> values) {
    return [=](Evidence& e) { e.gauge(family, values); };
}

Change cpu(double share) {
    return [=](Evidence& e) { e.cpu(share); };
}

const std::map<std::string, std::string, std::less<>> k_rules{{"cache", "rules"}};
const std::map<std::string, std::string, std::less<>> k_failed{{"status", "5xx"}};
const std::map<std::string, std::string, std::less<>> k_good{{"status", "2xx"}};

Evidence looked_up(double hits, double misses) {
    return Evidence{}
        .count("tenon_cache_hits_total", hits, k_rules)
        .count("tenon_cache_misses_total", misses, k_rules);
}

}  // namespace

TEST_CASE("a full cache that throws out what is asked for again may grow", "[advisor][M4]") {
    const Evidence evidence = looked_up(700, 300)
                                  .count("tenon_cache_memory_evicted_total", 200)
                                  .gauge("tenon_cache_memory_bytes", {49.0 * k_mega});
    CHECK(find(evidence.judged(), "cache_size")->to == 100 * k_mega);
    check_rule(
        "cache_size",
        evidence,
        {{"few misses", count("tenon_cache_misses_total", 150, k_rules)},
         {"too few to tell",
          [](Evidence& e) {
              e.count("tenon_cache_hits_total", 10, k_rules);
              e.count("tenon_cache_misses_total", 9, k_rules);
          }},
         {"hardly anything evicted", count("tenon_cache_memory_evicted_total", 29)},
         {"not full", gauge("tenon_cache_memory_bytes", {39.0 * k_mega})},
         {"as large as it may be", [](Evidence& e) { e.memory = 1'024 * k_mega; }}}
    );
}

TEST_CASE("entries that are loaded in each of their lives may live longer", "[advisor][M4]") {
    const Evidence evidence = looked_up(300, 200).count("tenon_cache_loads_total", 150, k_rules);
    CHECK(find(evidence.judged(), "cache_ttl")->to == 4'000);
    check_rule(
        "cache_ttl",
        evidence,
        {{"few misses", count("tenon_cache_misses_total", 70, k_rules)},
         {"fewer loads than lives", count("tenon_cache_loads_total", 99, k_rules)},
         {"they go for want of room", count("tenon_cache_evictions_total", 16, k_rules)},
         {"less than two lives",
          [](Evidence& e) { e.caches = R"([{"name":"rules","ttl_ms":20001}])"; }},
         {"a promised age",
          [](Evidence& e) {
              e.caches = R"([{"name":"rules","ttl_ms":2000,"consistency":"timed"}])";
          }},
         {"locked memory",
          [](Evidence& e) { e.caches = R"([{"name":"rules","ttl_ms":2000,"locked":true}])"; }},
         {"nothing in it", [](Evidence& e) { e.entries = 0; }}}
    );
}

TEST_CASE("a query cache that throws its results out is told to be small", "[advisor][M4]") {
    check_rule(
        "query_cache",
        Evidence{}
            .count("tenon_db_query_cache_hits_total", 100)
            .count("tenon_db_query_cache_misses_total", 100)
            .count("tenon_db_query_cache_evictions_total", 80),
        {{"too few to tell",
          [](Evidence& e) {
              e.count("tenon_db_query_cache_hits_total", 10);
              e.count("tenon_db_query_cache_misses_total", 80);
          }},
         {"few misses", count("tenon_db_query_cache_hits_total", 401)},
         {"few evicted", count("tenon_db_query_cache_evictions_total", 49)}}
    );
}

TEST_CASE("a throttle that refuses while all is calm goes up one level", "[advisor][M4]") {
    const Evidence evidence = Evidence{}
                                  .cpu(0.3)
                                  .count("tenon_throttle_limited_total", 100)
                                  .count("tenon_throttle_taken_total", 900)
                                  .count("tenon_http_requests_total", 1'000, k_good);
    CHECK(find(evidence.judged(), "throttle_level")->to == "aggressive");
    check_rule(
        "throttle_level",
        evidence,
        {{"few are refused", count("tenon_throttle_limited_total", 47)},
         {"the processors have no room", cpu(0.61)},
         {"requests fail", count("tenon_http_requests_total", 11, k_failed)},
         {"the exchange complains", count("tenon_exchange_limited_total", 1)},
         {"nothing is above it", [](Evidence& e) { e.level = "unlimited"; }}}
    );
    Evidence highest = evidence;
    highest.level = "aggressive";
    // Beyond its bounds: told, with the reason, and not to be applied.
    REQUIRE(find(highest.judged(), "throttle_level") != nullptr);
    CHECK_FALSE(find(highest.judged(), "throttle_level")->applicable());
}

TEST_CASE("a throttle goes down one level when requests fail for want of time", "[advisor][M4]") {
    const Evidence evidence = Evidence{}
                                  .cpu(0.9)
                                  .count("tenon_http_requests_total", 900, k_good)
                                  .count("tenon_http_requests_total", 100, k_failed);
    CHECK(find(evidence.judged(), "throttle_level")->to == "conservative");
    check_rule(
        "throttle_level",
        evidence,
        {{"few fail", count("tenon_http_requests_total", 45, k_failed)},
         {"the processors have room", cpu(0.84)},
         {"too few to tell",
          [](Evidence& e) {
              e.count("tenon_http_requests_total", 10, k_good);
              e.count("tenon_http_requests_total", 9, k_failed);
          }},
         {"nothing is below it", [](Evidence& e) { e.level = "conservative"; }}}
    );
}

TEST_CASE("a database pool that somebody waits for is told to be small", "[advisor][M4]") {
    check_rule(
        "pool_size",
        Evidence{}
            .cpu(0.3)
            .gauge("tenon_db_pool_waiting", {0, 3, 2, 0, 1})
            .gauge("tenon_db_pool_active_connections", {7}),
        {{"somebody waits once", gauge("tenon_db_pool_waiting", {0, 3, 0, 0, 0})},
         {"the processors have no room", cpu(0.81)},
         {"nobody knows what the processors do",
          [](Evidence& e) { e.count("tenon_process_cpu_seconds_total", -100); }}}
    );
}

TEST_CASE("blocking work that queues most of the time is told", "[advisor][M4]") {
    check_rule(
        "workers",
        Evidence{}.gauge("tenon_exec_blocking_queue_depth", {0, 9, 12, 9, 0}),
        {{"for a moment", gauge("tenon_exec_blocking_queue_depth", {0, 90, 90, 8, 0})},
         {"a few", gauge("tenon_exec_blocking_queue_depth", {8})}}
    );
}

TEST_CASE("slow requests that nothing explains point to a held thread", "[advisor][M4]") {
    const auto took = [](std::string histogram, double seconds, double observations = 100) {
        return [=](Evidence& e) { e.took(histogram, seconds, observations); };
    };
    check_rule(
        "slow_loop",
        Evidence{}
            .cpu(0.3)
            .took("tenon_http_request_duration_seconds", 0.5, 100)
            .took("tenon_db_query_duration_seconds", 0.001, 100),
        {{"they are quick", took("tenon_http_request_duration_seconds", 0.05)},
         {"too few to tell", took("tenon_http_request_duration_seconds", 0.5, 19)},
         {"the database is slow", took("tenon_db_query_duration_seconds", 0.5)},
         {"the processors are busy", cpu(0.61)},
         {"the pool is full", gauge("tenon_exec_blocking_queue_depth", {9})}}
    );
}

TEST_CASE("processors without rest ask for a larger machine", "[advisor][M4]") {
    check_rule("scale_out", Evidence{}.cpu(0.86), {{"some rest", cpu(0.84)}});
}

TEST_CASE("with fewer looks than four nothing is said", "[advisor][M4]") {
    std::deque<Snapshot> snapshots = Evidence{}.cpu(0.95).snapshots();
    CHECK_FALSE(recommend(snapshots, SettingsView{}).empty());
    snapshots.resize(3);
    CHECK(recommend(snapshots, SettingsView{}).empty());
}

namespace {

// A server that also has an index advisor, a data folder and slow queries.
struct Watched final : Steering {
    explicit Watched(SimulatedServer::Model model) : server{1, std::move(model)} {
        TunerOptions options;
        options.indexes_every_ms = k_searched_ms;
        options.bounds = {
            {"tenon.cache.memory/bytes_max", k_mega, 1'024 * k_mega, {}},
            {"tenon.cache.stack/caches/ttl_ms", 1'000, 3'600'000, {}},
            {"tenon.throttle.token-bucket/level",
             {},
             {},
             {"conservative", "moderate", "aggressive"}}};
        tuner.set_options(std::move(options));
    }

    json::value ask(std::string_view command, json::object args, std::int64_t patience_ms)
        override {
        if (command == "advise.indexes") {
            ++searches;
            return json::object{{"proposals", json::array(proposals)}};
        }
        if (command == "advise.apply") {
            return json::object{{"proposals", json::array(proposals)}};
        }
        json::value out = server.ask(command, std::move(args), patience_ms);
        if (command == "plugins.list") {
            out.get_array().push_back(json::object{
                {"name", "advisor"}, {"id", "tenon.storage.advisor"}});
        }
        return out;
    }

    [[nodiscard]] Snapshot look() const {
        Snapshot out = server.look();
        out.families["tenon_data_dir_size_bytes"] = {{{}, data_bytes}};
        out.families["tenon_slow_queries_total"] = {{{}, slow_queries}};
        return out;
    }

    void run(std::int64_t ms) {
        for (const std::int64_t end_ms = server.now_ms() + ms; server.now_ms() < end_ms;) {
            server.run();
            tuner.tick();
        }
    }

    [[nodiscard]] std::set<std::string> listed() const {
        std::set<std::string> out;
        const json::value told = json::parse(tuner.list());
        for (const json::value& each : told.at("advice").get_array()) {
            out.emplace(std::string_view{each.at("id").get_string()});
        }
        return out;
    }

    [[nodiscard]] std::string newest(std::string_view member) const {
        const json::object entry = chronicle.json(1).at(0).get_object();
        return plain(entry.at(member));
    }

    test::TemporaryFolder folder;
    SimulatedServer server;
    double data_bytes = 1e9, slow_queries = 0;
    std::size_t proposals = 0, searches = 0;
    Chronicle chronicle{folder.path() / "advice.log"};
    Tuner tuner{
        *this,
        chronicle,
        [this] { return server.now_ms(); },
        [this] { return look(); },
        [](const Entry&) {}};
};

constexpr std::int64_t k_evaluated_ms = 130'000;  // two evaluations

}  // namespace

TEST_CASE("a data folder that grows by much is told", "[advisor][M4]") {
    Watched watched{[](const SimulatedServer&) { return SimulatedServer::Behaviour{}; }};
    watched.run(k_evaluated_ms);
    watched.data_bytes = 1.24e9;  // by less than a quarter
    watched.run(k_evaluated_ms);
    CHECK(watched.listed().count("maintenance:data_dir") == 0);
    watched.data_bytes = 1.5e9;
    watched.run(k_evaluated_ms);
    CHECK(watched.listed().count("maintenance:data_dir") == 1);
    const json::value told = json::parse(watched.tuner.show("maintenance:data_dir"));
    CHECK_THAT(json::serialize(told), Contains("953 to 1430 MiB"));
    CHECK_THROWS_WITH(
        watched.tuner.apply("maintenance:data_dir", "user:anna"), Contains("who decides")
    );
}

TEST_CASE("indexes are looked for after slow queries alone", "[advisor][M4]") {
    Watched watched{[](const SimulatedServer&) { return SimulatedServer::Behaviour{}; }};
    watched.proposals = 2;
    watched.run(k_evaluated_ms);
    watched.tuner.look_for_indexes();
    CHECK(watched.searches == 0);
    watched.slow_queries = 3;
    watched.run(10'000);
    watched.proposals = 0;
    watched.tuner.look_for_indexes();
    watched.run(10'000);
    CHECK(watched.searches == 1);
    CHECK(watched.listed().count("indexes:storage") == 0);  // none gains
    watched.proposals = 2;
    watched.slow_queries = 8;
    watched.run(k_searched_ms);
    watched.tuner.look_for_indexes();
    watched.run(10'000);
    CHECK(watched.searches == 2);
    REQUIRE(watched.listed().count("indexes:storage") == 1);
    CHECK_THAT(watched.tuner.show("indexes:storage"), Contains("5 queries were slow"));
    (void)watched.tuner.apply("indexes:storage", "user:anna");
    CHECK(watched.newest("event") == "applied");
    CHECK(watched.listed().count("indexes:storage") == 0);
}

TEST_CASE("what brings no more than chance goes back, what helps is kept", "[advisor][M4]") {
    struct Case {
        std::string kind, plugin, pointer;
        double miss_ratio, limited_ratio;
    };

    for (const Case& each :
         {Case{"cache_size", "cache-memory", "/bytes_max", 0.5, 0},
          Case{"cache_ttl", "cache", "/caches", 0.5, 0},
          Case{"throttle_level", "throttle", "/level", 0, 0.2}}) {
        for (const bool helps : {false, true}) {
            json::value before;
            const auto model = [&](const SimulatedServer& server) {
                SimulatedServer::Behaviour out;
                const bool is_turned =
                    !before.is_null() && server.value(each.plugin, each.pointer) != before;
                const double left = helps && is_turned ? 0.4 : 1;
                out.miss_ratio = each.miss_ratio * left;
                out.limited_ratio = each.limited_ratio * left;
                return out;
            };
            INFO(each.kind << (helps ? " helps" : " brings nothing"));
            Watched watched{model};
            before = watched.server.value(each.plugin, each.pointer);
            watched.run(k_evaluated_ms);
            std::string id;
            for (const std::string& listed : watched.listed()) {
                id = listed.starts_with(each.kind + ":") ? listed : id;
            }
            REQUIRE_FALSE(id.empty());
            (void)watched.tuner.apply(id, "user:anna");
            watched.run(k_evaluated_ms);
            CHECK(watched.server.changes > 0);
            if (helps) {
                CHECK(watched.newest("event") == "kept");
                CHECK_FALSE(watched.server.value(each.plugin, each.pointer) == before);
                (void)watched.tuner.roll_back(id, "user:anna", "");
            } else {
                CHECK(watched.newest("event") == "rolled_back");
                CHECK_THAT(watched.newest("reason"), Contains("no proof"));
            }
            CHECK(watched.server.value(each.plugin, each.pointer) == before);
            CHECK_FALSE(watched.server.overridden(each.plugin, each.pointer));
        }
    }
}
