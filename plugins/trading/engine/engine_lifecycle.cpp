// SPDX-License-Identifier: Apache-2.0
// Start and stop of the engine: recovery, venues, the demo account, the last snapshot.
#include "plugins/trading/engine/engine.hpp"

#include <tenon/decimal.hpp>

#include <algorithm>
#include <cstring>
#include <random>

namespace tenon::engine {
namespace {

constexpr std::int64_t k_stop_projection_ns = 5'000'000'000;
constexpr std::uint64_t k_evict_every = 1024;
// Fingerprint and demo account.
constexpr std::size_t k_start_bytes = 8192;

std::uint64_t random_seed() {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
}

}  // namespace

const tenon_venue_input_1 Engine::k_venue_input{
    sizeof(tenon_venue_input_1),
    0,
    &Engine::venue_command};

void Engine::start() {
    if (data_folder_.empty()) {
        throw Error{TENON_INVALID, "the daemon has no data folder"};
    }
    disk_->make_folder(journal_folder_);
    disk_->make_folder(snapshot_folder_);
    instruments_ = host_.require<tenon_instruments_1>("tenon.instruments/1");
    storage_ = host_.find<tenon_storage_1>("tenon.storage/1");
    failed_.clear();
    spool_broken_ = false;
    try {
        open_projection();
        // Venues live on the reactor: their feeds may already be running there.
        call_on_reactor(exec_, 0, [this] {
            attach_venues();
            recover_state();
            go_live();
        });
    } catch (...) {
        stop();
        throw;
    }
}

void Engine::open_projection() {
    projected_at_start_.reset();
    if (!storage_) {
        log_.info("storage_absent");
        return;
    }
    ProjectionOptions options;
    options.instruments = instruments_;
    options.batch_max = settings_.projection_batch_max;
    options.batch_interval_ns = settings_.projection_interval_ms * 1'000'000;
    options.queue_max = settings_.projection_queue_max;
    projection_ = std::make_unique<Projection>(storage_, exec_, clock_, log_, options);
    projection_->gather(settings_.projection_gathering);
    spool_ = std::make_unique<Spool>(*disk_, data_folder_ + "/projection.spool");
    try {
        projected_at_start_ = projection_->load_offset();
    } catch (const Error& error) {
        log_.warn("database_silent", {{"reason", error.what()}});
        health_->set(health_.self, str("projection"), TENON_DEGRADED, str(error.what()));
    }
}

void Engine::attach_venues() {
    const auto services = host_.service<tenon_services_1>("tenon.services/1");
    const tenon_status status = services->each(
        services.self,
        str("tenon.venue/1"),
        this,
        [](void* ctx, tenon_str instance, tenon_iface iface) -> tenon_status {
            return guard(nullptr, [&] {
                auto& engine = *static_cast<Engine*>(ctx);
                engine.venues_.push_back(
                    {std::string{view(instance)}, service_from<tenon_venue_1>(iface)}
                );
            });
        }
    );
    if (status != TENON_OK && status != TENON_NOT_FOUND) {
        throw Error{status, "the venues could not be listed"};
    }
    for (const trading::VenueBinding& binding : venues_) {
        auto input = std::make_unique<VenueInput>(VenueInput{this, binding.name});
        ErrorBuffer err;
        check(
            binding.venue->attach(binding.venue.self, {input.get(), &k_venue_input}, &err),
            err,
            "venue " + binding.name
        );
        venue_inputs_.push_back(std::move(input));
    }
}

void Engine::detach_venues() noexcept {
    for (std::size_t i = 0; i < venue_inputs_.size(); ++i) {
        const auto& venue = venues_[i].venue;
        (void)venue->attach(venue.self, {nullptr, nullptr}, nullptr);
    }
    venue_inputs_.clear();
    venues_.clear();
}

tenon_status Engine::venue_command(void* self, tenon_bytes evidence) {
    return guard(nullptr, [&]() -> tenon_status {
        const auto& input = *static_cast<VenueInput*>(self);
        Engine& engine = *input.engine;
        const auto reactor = engine.exec_->current_reactor(engine.exec_.self);
        if (reactor == 0) {
            const trading::VenueApplyCommand body{str(input.name), evidence};
            const tenon_status status = engine.run(body, Admission::relief, {}, nullptr);
            return status == TENON_PENDING ? TENON_OK : status;
        }
        post(engine.exec_, 0, [&input, bytes = std::string{view(evidence)}] {
            const trading::VenueApplyCommand body{str(input.name), tenon::bytes(bytes)};
            if (input.engine->run(body, Admission::relief, {}, nullptr) != TENON_PENDING) {
                input.engine->log_.warn("venue_report_refused", {{"venue", input.name}});
            }
        });
        return TENON_OK;
    });
}

void Engine::recover_state() {
    const std::int64_t begin = clock_->now_ns(clock_.self);
    RecoveryRequest request;
    request.journal_folder = journal_folder_;
    request.snapshot_folder = snapshot_folder_;
    request.projection = projection_ != nullptr;
    request.projected = projected_at_start_;
    request.make_core = [this, seed = random_seed()] {
        trading::CoreOptions options;
        options.open_orders_max = settings_.open_orders_max;
        options.hash_seed = seed;
        return std::make_unique<trading::Core>(instruments_, venues_, options);
    };
    request.on_base = [this](const trading::Core& core, std::uint64_t sequence) {
        recovery_base(core, sequence);
    };
    request.on_result = [this](const trading::Output& output, const trading::Result& result) {
        recovered_result(output, result);
    };
    Recovered recovered = recover(*disk_, request, log_);
    core_ = std::move(recovered.core);
    snapshot_sequence_ = recovered.base_sequence;
    open_journal(recovered);
    if (database_is_ahead()) {
        log_.error(
            "database_ahead_of_journal",
            {{"database", *projected_at_start_}, {"journal", writer_->durable_sequence()}}
        );
    }
    log_.info(
        "state_recovered",
        {{"sequence", writer_->durable_sequence()},
         {"snapshot", recovered.base_sequence},
         {"replayed", recovered.replayed},
         {"hashes_compared", recovered.hashes_compared},
         {"torn_bytes", recovered.end.torn_bytes},
         {"duration_ms", (clock_->now_ns(clock_.self) - begin) / 1'000'000}}
    );
}

// What a database that was lost needs to go on: the state at the base as events of its command.
void Engine::recovery_base(const trading::Core& core, std::uint64_t sequence) {
    history_ = std::make_unique<History>(
        settings_.history_orders_max, settings_.history_trades_max, sequence == 0
    );
    if (!projection_ || sequence == 0 ||
        (projected_at_start_ && *projected_at_start_ >= sequence)) {
        return;
    }
    auto event = sized<tenon_execution_event>();
    event.sequence = sequence;
    event.time_real_ns = core.time_real_ns();
    std::vector<tenon_account> accounts;
    std::vector<tenon_balance> balances;
    std::vector<tenon_order> orders;
    std::vector<tenon_api_key> keys;
    const std::uint32_t assets = instruments_->asset_count(instruments_.self);
    for (const trading::Account& account : core.accounts()) {
        accounts.push_back(
            {sizeof(tenon_account),
             account.enabled ? 1U : 0U,
             account.id,
             str(account.name),
             account.created_real_ns,
             account.updated_real_ns}
        );
        for (std::uint32_t asset = 0; asset < assets; ++asset) {
            if (core.balance_used(account.id, asset)) {
                balances.push_back(core.balance(account.id, asset));
            }
        }
        core.for_each_open_order(account.id, TENON_ANY_INSTRUMENT, [&](const tenon_order& order) {
            orders.push_back(order);
        });
    }
    for (const trading::ApiKey& key : core.keys()) {
        keys.push_back(
            {sizeof(tenon_api_key),
             key.revoked ? 1U : 0U,
             str(key.key),
             key.account,
             key.kind,
             key.permissions,
             bytes(key.material),
             str(key.label),
             key.created_real_ns,
             str(key.addresses)}
        );
    }
    events_.clear();
    const auto add = [&](std::uint32_t kind, const auto& rows, auto member) {
        event.kind = kind;
        for (const auto& row : rows) {
            event.*member = &row;
            events_.push_back(event);
            ++event.index;
        }
        event.*member = nullptr;
    };
    add(TENON_EVENT_ACCOUNT, accounts, &tenon_execution_event::account);
    add(TENON_EVENT_KEY, keys, &tenon_execution_event::key);
    add(TENON_EVENT_BALANCE, balances, &tenon_execution_event::balance);
    add(TENON_EVENT_ORDER, orders, &tenon_execution_event::order);
    project(events_);
}

void Engine::recovered_result(const trading::Output& output, const trading::Result& result) {
    remember(output, result);
    const bool projected = projected_at_start_ && result.sequence <= *projected_at_start_;
    if (projection_ && !projected) {
        events_.clear();
        for (std::uint32_t i = 0; i < result.events.count; ++i) {
            events_.push_back(output.event(result, i));
        }
        project(events_);
    }
    if (result.sequence % k_evict_every == 0) {
        history_->evict(projection_ ? projection_->projected_sequence() : result.sequence);
    }
}

void Engine::open_journal(const Recovered& recovered) {
    journal::WriterOptions options;
    options.segment_bytes = settings_.segment_bytes;
    options.batch_bytes_max =
        static_cast<std::size_t>(std::min<std::uint64_t>(4U << 20, settings_.segment_bytes / 4));
    writer_ =
        std::make_unique<journal::JournalWriter>(*disk_, journal_folder_, options, recovered.end);
    // The first segment, or the next one when the last has no room for what the start writes.
    if ((recovered.end.segment == 0 || !writer_->fits(k_start_bytes)) && writer_->wants_segment()) {
        writer_->prepare();
    }
    append_fingerprint(recovered.fingerprint);
}

// So that a later replay notices that the instruments are not those of these commands.
void Engine::append_fingerprint(std::uint64_t last) {
    const std::uint64_t current = core_->instruments_fingerprint();
    if (current == last || !writer_->fits(sizeof current)) {
        return;
    }
    writer_->append(k_record_instruments, std::as_bytes(std::span{&current, 1}));
    if (const int error = writer_->commit(); error != 0) {
        journal::require_ok(error, "cannot write to", journal_folder_);
    }
}

void Engine::go_live() {
    mirror_.load(*core_, instruments_->instrument_count(instruments_.self));
    health_->set(health_.self, str("journal"), TENON_HEALTHY, str(""));
    watch_disk();
    open_ = true;
    fund_demo_account();
    for (const trading::VenueBinding& binding : venues_) {
        if (binding.venue->live != nullptr) {
            binding.venue->live(binding.venue.self);
        }
    }
    turn_hook_ = exec_->at_turn_end(
        exec_.self,
        TENON_TURN_COMMIT,
        [](void* ctx) { static_cast<Engine*>(ctx)->turn_end(); },
        this
    );
    publish_status();
    prepare_segment();
    arm_timer();
}

// Idempotent: the account is opened once, and an asset it ever had is not given again.
void Engine::fund_demo_account() {
    if (settings_.demo_account.empty()) {
        return;
    }
    if (core_->find_account(settings_.demo_account) == nullptr) {
        (void)run(
            trading::AccountOpenCommand{str(settings_.demo_account)}, Admission::order, {}, nullptr
        );
    }
    const trading::Account* account = core_->find_account(settings_.demo_account);
    if (account == nullptr) {
        throw Error{TENON_INVALID, "demo_account: " + settings_.demo_account + " cannot be opened"};
    }
    const std::uint64_t id = account->id;
    for (const auto& [name, amount] : settings_.demo_funds) {
        std::uint32_t asset = 0;
        if (instruments_->find_asset(instruments_.self, str(name), &asset) != TENON_OK) {
            throw Error{TENON_INVALID, "demo_account/funds/" + name + ": there is no such asset"};
        }
        const int scale = instruments_->asset(instruments_.self, asset)->scale;
        const ParsedDecimal parsed = parse_decimal(amount, scale);
        if (!parsed || parsed.value <= 0) {
            throw Error{
                TENON_INVALID,
                "demo_account/funds/" + name + ": found \"" + amount +
                    "\", expected a decimal above 0 with at most " + std::to_string(scale) +
                    " decimals"};
        }
        if (core_->balance_used(id, asset)) {
            continue;
        }
        const std::string reference = "demo:" + settings_.demo_account + ":" + name;
        const tenon_ledger_entry entry{
            sizeof entry, asset, TENON_ACCOUNT_EXTERNAL, id, parsed.value, str(reference)};
        (void)run(trading::TransferCommand{entry}, Admission::order, {}, nullptr);
    }
    (void)commit_batch();
    if (!failed_.empty()) {
        throw Error{TENON_UNAVAILABLE, failed_};
    }
}

void Engine::drain() {
    call_on_reactor(exec_, 0, [this] {
        open_ = false;
        if (writer_) {
            turn_end();
        }
        publish_status();
    });
}

void Engine::stop() noexcept {
    (void)guard(nullptr, [this] {
        call_on_reactor(exec_, 0, [this] {
            open_ = false;
            if (turn_hook_ != 0) {
                turn_end();
                exec_->remove_turn_hook(exec_.self, turn_hook_);
                turn_hook_ = 0;
            }
            if (timer_ != 0) {
                exec_->cancel_timer(exec_.self, timer_);
                timer_ = 0;
            }
        });
    });
    jobs_.wait();
    if (projection_) {
        projection_->stop(clock_->now_ns(clock_.self) + k_stop_projection_ns);
    }
    final_snapshot();
    (void)guard(nullptr, [this] { call_on_reactor(exec_, 0, [this] { close(); }); });
}

// After a clean stop the next start replays nothing, if the database is up to date.
void Engine::final_snapshot() noexcept {
    // A start that failed may leave commands that were applied and never written.
    if (!writer_ || !failed_.empty() || writer_->pending_bytes() != 0 ||
        writer_->durable_sequence() <= snapshot_sequence_) {
        return;
    }
    (void)guard(nullptr, [this] {
        try {
            std::string payload;
            journal::SnapshotInfo info;
            call_on_reactor(exec_, 0, [&] {
                core_->snapshot_write(payload);
                info = {
                    writer_->durable_sequence(),
                    core_->time_real_ns(),
                    core_->state_hash(),
                    core_->instruments_fingerprint()};
            });
            snapshot_job(info, payload);
        } catch (const Error& error) {
            log_.warn("final_snapshot_failed", {{"reason", error.what()}});
        }
    });
}

void Engine::close() noexcept {
    detach_venues();
    subscribers_.clear();
    for (Batch& batch : batches_) {
        batch.output.clear();
        batch.waiting.clear();
        batch.tasks.clear();
    }
    writer_.reset();
    history_.reset();
    core_.reset();
    projection_.reset();
    spool_.reset();
    snapshot_sequence_ = snapshot_written_ = 0;
}

}  // namespace tenon::engine
