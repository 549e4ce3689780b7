// SPDX-License-Identifier: Apache-2.0
// Database: rows through the query cache (protocol: query_cache.hpp).
//
// What a query reads is told by its plan, which is asked for once while the schema stays. Rows come
// from the primary, as all of the newest rows do.
#include "plugins/storage/postgres/database.hpp"

#include <algorithm>
#include <array>

namespace tenon::postgres {
namespace {

constexpr BackoffOptions k_retry_waits{k_ms, 250 * k_ms};
constexpr std::int64_t k_ttl_ms_max = 86'400'000;

tenon_status give(const CachedRows& rows, tenon_row_fn row, void* ctx) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const tenon_status status = row(ctx, rows.row(i).data(), rows.columns());
        if (status != TENON_OK) {
            return status;
        }
    }
    return TENON_OK;
}

// As a date it is another one tomorrow, though it is bound as text.
bool is_moving_date(const tenon_value& value) noexcept {
    static constexpr std::array<std::string_view, 4> k_words{
        "now", "today", "tomorrow", "yesterday"};
    if (value.kind != TENON_VALUE_TEXT) {
        return false;
    }
    std::string_view text = view(value.b);
    const std::size_t begin = std::min(text.find_first_not_of(" \t\r\n"), text.size());
    text.remove_prefix(begin);
    text = text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
    return std::any_of(k_words.begin(), k_words.end(), [&](std::string_view word) {
        return tenon::detail::is_word_equal(text, word);
    });
}

}  // namespace

// One query, over its attempts.
struct Database::Query {
    const tenon_query& wanted;
    tenon_row_fn row;
    void* ctx;
    std::optional<QueryCache::Key> key;  // when the rows are to be kept
    bool given = false;  // rows that were given cannot be taken back: no retry from there on
};

std::shared_ptr<const ReadUse> Database::reads_of(Connection& connection, std::string_view sql) {
    const std::uint64_t generation = tables_.generation();
    if (auto known = tables_.reads_of(sql)) {
        return known;
    }
    const auto map = tables_.map();
    if (!map) {
        plans_->wake();
        return nullptr;
    }
    ReadUse use;
    try {
        use = map->reads_of(connection.verbose_plan(sql));
    } catch (const std::exception&) {
        if (connection.broken()) {
            throw;
        }
        // What is wrong with it is told when it runs; what is wrong with its plan alone is no
        // reason not to run it.
    }
    if (use.unknown) {
        // Somebody made a table, and nobody told.
        tables_.forget();
        tables_.cache().invalidate_all();
        plans_->wake();
        return nullptr;
    }
    tables_.keep_reads(sql, use, generation);
    return std::make_shared<const ReadUse>(std::move(use));
}

tenon_status Database::run_once(Query& query) {
    QueryCache& cache = tables_.cache();
    // Before the map is looked at: who changes the schema ends with this counter.
    QueryCache::Dependencies before = cache.depends_on({});
    HostPool::Lease lease = acquire(TENON_INTENT_READ, query.wanted.deadline_ns, "query");
    bool keeps = false;
    if (query.key) {
        const auto use = reads_of(*lease, view(query.wanted.sql));
        keeps = use && use->repeatable;
        if (keeps) {
            std::vector<std::uint16_t> slots;
            for (const std::string& table : use->tables) {
                slots.push_back(QueryCache::slot_of(table));
            }
            const QueryCache::Dependencies tables = cache.depends_on(slots);
            before.insert(before.end(), tables.begin(), tables.end());
        }
    }
    const std::int64_t now_ns = telemetry_.now_ns();
    RowCollector collector{keeps ? cache.entry_bytes_max() : 0};
    Prepared& statement = lease->prepare(view(query.wanted.sql));
    for (std::uint32_t i = 0; i < query.wanted.value_count; ++i) {
        statement.bind(i + 1, query.wanted.values[i]);
    }
    std::vector<tenon_value> columns(statement.column_count());
    // The snapshot is taken by the first step.
    while (statement.step()) {
        for (std::uint32_t i = 0; i < columns.size(); ++i) {
            columns[i] = statement.column(i);
        }
        if (keeps) {
            collector.add(columns);
        }
        query.given = true;
        const auto count = static_cast<std::uint32_t>(columns.size());
        const tenon_status status = query.row(query.ctx, columns.data(), count);
        if (status != TENON_OK) {
            return status;
        }
    }
    ++transactions_;
    if (keeps && tables_.is_trusted()) {
        cache.insert(std::move(*query.key), std::move(before), collector.take(), now_ns);
    }
    return TENON_OK;
}

tenon_status
Database::run_query(const tenon_query& wanted, tenon_row_fn row, void* ctx, tenon_err* err) {
    const Inside inside{*this};
    const std::span<const tenon_value> values{wanted.values, wanted.value_count};
    QueryCache& cache = tables_.cache();
    Query query{wanted, row, ctx, std::nullopt};
    if (cache.is_on() && cache.serves() && wanted.ttl_ms != 0 && tables_.is_trusted() &&
        std::none_of(values.begin(), values.end(), is_moving_date)) {
        const std::int64_t ttl_ns =
            wanted.ttl_ms < 0 ? cache.ttl_ns() : std::min(wanted.ttl_ms, k_ttl_ms_max) * k_ms;
        query.key = cache.key_of(view(wanted.sql), values);
        if (const auto rows = cache.find(*query.key, ttl_ns, telemetry_.now_ns())) {
            return give(*rows, row, ctx);
        }
    }
    const std::int64_t last_ns = std::min(wanted.deadline_ns, telemetry_.now_ns() + k_retry_max_ns);
    Backoff waits{k_retry_waits, seed_.fetch_add(1)};
    for (;;) {
        try {
            return run_once(query);
        } catch (const StorageError& e) {
            if (!e.retryable() || query.given || !pause_for_retry(waits.next(), last_ns)) {
                ++errors_;
                return fail(err, e.code(), e.what(), flags_of(e.failure()));
            }
            ++retries_;
        }
    }
}

void Database::publish_queries() const noexcept {
    const QueryCache::Figures now = tables_.cache().figures();
    const auto set = [](std::uint64_t* cell, std::uint64_t value) {
        if (cell != nullptr) {
            __atomic_store_n(cell, value, __ATOMIC_RELAXED);
        }
    };
    set(telemetry_.query_hits, now.hits);
    set(telemetry_.query_misses, now.misses);
    set(telemetry_.query_evictions, now.evictions);
}

}  // namespace tenon::postgres
