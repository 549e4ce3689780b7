// SPDX-License-Identifier: Apache-2.0
#include "plugins/backup/postgres/receiver.hpp"

#include <algorithm>
#include <cstdlib>

namespace tenon::backup_postgres {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds k_patience{30'000};
constexpr milliseconds k_turn{100};
constexpr milliseconds k_confirm_every{10'000};
constexpr milliseconds k_retry_min{500};
constexpr milliseconds k_retry_max{10'000};
constexpr std::size_t k_seen_max = 4096;
constexpr std::size_t k_data_head = 25;
constexpr std::size_t k_keepalive = 18;
constexpr std::uint64_t k_page = 8192;
// A commit takes its time before its place in the log: of two that are so close, neither is sure.
constexpr std::int64_t k_clock_margin_ns = 50'000'000;
// Seconds from 1970 to 2000, where PostgreSQL's times begin.
constexpr std::int64_t k_epoch_s = 946'684'800;
constexpr const char* k_file_is_gone = "58P01";

std::uint64_t big_endian(std::string_view bytes) noexcept {
    std::uint64_t value = 0;
    for (const char c : bytes.substr(0, 8)) {
        value = (value << 8U) | static_cast<unsigned char>(c);
    }
    return value;
}

void append_big_endian(std::string& to, std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8) {
        to.push_back(static_cast<char>((value >> static_cast<unsigned>(shift)) & 0xFFU));
    }
}

std::string quoted(const std::string& text) {
    std::string out{"'"};
    for (const char c : text) {
        out.append(c == '\'' ? 2 : 1, c);
    }
    return out + "'";
}

// Where nothing but the head of the next page lies between, the log ends before it.
Lsn end_of_log(Lsn inserted, Lsn flushed) noexcept {
    const bool head_only = flushed % k_page == 0 && inserted > flushed && inserted - flushed <= 40;
    return head_only ? flushed : inserted;
}

}  // namespace

void Receiver::start() {
    stopping_ = false;
    looked_at_ = steady_now();
    thread_ = std::thread{[this] { loop(); }};
}

void Receiver::stop() noexcept {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
}

Receiver::State Receiver::state() {
    const std::lock_guard lock{mutex_};
    State now = state_;
    if (!now.streaming || !seen_.empty()) {
        const auto since = seen_.empty() ? looked_at_ : seen_.front().second;
        now.gap_seconds = std::chrono::duration<double>(steady_now() - since).count();
    }
    return now;
}

void Receiver::wait_for(
    Lsn lsn,
    steady_clock::time_point deadline,
    const std::function<bool()>& cancelled
) {
    std::unique_lock lock{mutex_};
    while (!state_.streaming || state_.stored < lsn) {
        if (stopping_ || cancelled()) {
            throw Error{TENON_UNAVAILABLE, "the work was cancelled"};
        }
        if (steady_now() > deadline) {
            throw Error{
                TENON_TIMEOUT,
                "the log is stored up to " + lsn_text(state_.stored) + ", not up to " +
                    lsn_text(lsn) + (state_.problem.empty() ? "" : ": " + state_.problem)};
        }
        changed_.wait_for(lock, k_turn);
    }
}

void Receiver::loop() noexcept {
    milliseconds pause = k_retry_min;
    while (!stopping_) {
        std::string problem;
        const auto began = steady_now();
        try {
            stream();
        } catch (const std::exception& e) {
            problem = e.what();
        }
        std::unique_lock lock{mutex_};
        state_.streaming = false;
        if (!problem.empty()) {
            state_.problem = problem;
            changed_.notify_all();
            pause =
                steady_now() - began > k_retry_max ? k_retry_min : std::min(pause * 2, k_retry_max);
            changed_.wait_for(lock, pause, [this] { return stopping_.load(); });
        }
    }
}

void Receiver::ready_slot(Session& session) {
    const std::string name = quoted(settings_.slot);
    const Rows found = session.query(
        "SELECT coalesce(restart_lsn::text, ''), coalesce(wal_status, '') FROM "
        "pg_replication_slots WHERE slot_name = " +
        name
    );
    if (!found.empty() && found.front()[1] == "lost") {
        (void)session.query("SELECT pg_drop_replication_slot(" + name + ")");
    }
    if (found.empty() || found.front()[1] == "lost") {
        (void)session.query("SELECT pg_create_physical_replication_slot(" + name + ", true)");
    }
}

// Where the store ends on the server's way through the timelines.
Receiver::Place Receiver::place(Session& replication, Session& session) {
    const Rows system = replication.query("IDENTIFY_SYSTEM");
    segment_bytes_ = std::strtoull(
        session.ask("SELECT pg_size_bytes(current_setting('wal_segment_size'))").c_str(),
        nullptr,
        10
    );
    wal_.claim(system.at(0).at(0), segment_bytes_);
    const auto newest = static_cast<Timeline>(std::strtoul(system[0].at(1).c_str(), nullptr, 10));
    std::string history;
    if (newest > 1) {
        history = replication.query("TIMELINE_HISTORY " + std::to_string(newest)).at(0).at(1);
        wal_.put_history(newest, history);
    }
    const std::vector<Branch> branches = branches_of(newest, history);
    const std::vector<Stretch> stored = wal_.list();
    for (std::size_t i = branches.size(); i-- > 0 && !lost_;) {
        Lsn end = 0;
        for (const Stretch& one : stored) {
            end = one.timeline == branches[i].timeline ? std::max(end, one.to) : end;
        }
        if (end != 0 && end < branches[i].end) {
            return {branches[i].timeline, end, false};
        }
        if (end != 0) {
            return {
                branches[i + 1].timeline, branches[i].end / segment_bytes_ * segment_bytes_, false};
        }
    }
    const std::string restart = session.ask(
        "SELECT coalesce(restart_lsn, pg_current_wal_lsn()) FROM pg_replication_slots "
        "WHERE slot_name = " +
        quoted(settings_.slot)
    );
    const Lsn at = lsn_of(restart) / segment_bytes_ * segment_bytes_;
    Timeline timeline = newest;
    for (const Branch& branch : branches) {
        timeline = branch.begin <= at && at < branch.end ? branch.timeline : timeline;
    }
    return {timeline, at, !stored.empty()};
}

void Receiver::stream() {
    const auto cancelled = [this] { return stopping_.load(); };
    Session session{settings_.server, false, k_patience, cancelled};
    Session replication{settings_.server, true, k_patience, cancelled};
    ready_slot(session);
    has_orders_ = session.ask("SELECT to_regclass('orders') IS NOT NULL") == "t";
    const Place at = place(replication, session);
    timeline_ = at.timeline;
    stored_ = at.at;
    buffer_.clear();
    marks_.clear();
    marked_order_ = 0;
    replication.start_copy(
        "START_REPLICATION SLOT \"" + settings_.slot + "\" PHYSICAL " + lsn_text(stored_) +
        " TIMELINE " + std::to_string(timeline_)
    );
    lost_ = false;
    {
        const std::lock_guard lock{mutex_};
        state_.timeline = timeline_;
        state_.stored = stored_;
        state_.gaps += at.gap ? 1 : 0;
        seen_.clear();
    }
    try {
        receive(replication, session);
    } catch (const Error&) {
        lost_ = replication.sqlstate() == k_file_is_gone;
        throw;
    }
}

void Receiver::receive(Session& replication, Session& session) {
    std::string message;
    // Until the server has sent something nothing is confirmed: it would set the slot to a position
    // that may be gone from its log, and the slot could no longer say where the log begins.
    bool begun = false;
    while (!stopping_) {
        const bool goes_on = replication.receive(message, k_turn);
        if (!message.empty()) {
            begun = true;
            take(message, replication);
        }
        if (!goes_on) {
            store_until(UINT64_MAX);
            return;  // the next timeline
        }
        if (steady_now() - looked_at_ >= std::min<milliseconds>(settings_.every, k_patience)) {
            look(session);
        }
        if (begun) {
            store_due(replication);
        }
    }
    store_until(UINT64_MAX);
}

void Receiver::take(std::string_view message, Session& replication) {
    if (message.front() == 'k' && message.size() >= k_keepalive) {
        if (message[k_keepalive - 1] != 0) {
            confirm(replication);
        }
        return;
    }
    if (message.front() != 'w' || message.size() < k_data_head) {
        throw Error{TENON_UNAVAILABLE, "the server sent what is no part of its log"};
    }
    const Lsn from = big_endian(message.substr(1));
    if (from != stored_ + buffer_.size()) {
        throw Error{
            TENON_UNAVAILABLE,
            "the server sent its log from " + lsn_text(from) + " instead of " +
                lsn_text(stored_ + buffer_.size())};
    }
    if (buffer_.empty()) {
        buffered_at_ = steady_now();
    }
    buffer_.append(message.substr(k_data_head));
}

void Receiver::store_until(Lsn limit) {
    while (!buffer_.empty() && stored_ < limit) {
        const Lsn block_end = (stored_ / k_block_bytes + 1) * k_block_bytes;
        const Lsn segment_end = (stored_ / segment_bytes_ + 1) * segment_bytes_;
        const Lsn to = std::min({stored_ + buffer_.size(), block_end, segment_end, limit});
        WalPiece piece{{timeline_, stored_, to}, {}, buffer_.substr(0, to - stored_)};
        for (const Mark& mark : marks_) {
            if (mark.lsn <= to) {
                piece.marks.push_back(mark);
            }
        }
        wal_.put(piece);
        marks_.erase(
            marks_.begin(), marks_.begin() + static_cast<std::ptrdiff_t>(piece.marks.size())
        );
        buffer_.erase(0, to - stored_);
        stored_ = to;
        const std::lock_guard lock{mutex_};
        state_.stored = to;
        if (!piece.marks.empty()) {
            state_.stored_real_ns = std::max(state_.stored_real_ns, piece.marks.back().real_ns);
            marked_order_ = piece.marks.back().order;
        }
        while (!seen_.empty() && seen_.front().first <= to) {
            seen_.pop_front();
        }
        changed_.notify_all();
    }
}

void Receiver::store_due(Session& replication) {
    const Lsn before = stored_;
    const auto now = steady_now();
    if (buffer_.size() >= k_block_bytes - stored_ % k_block_bytes) {
        store_until((stored_ + buffer_.size()) / k_block_bytes * k_block_bytes);
        buffered_at_ = now;
    }
    if (!buffer_.empty() && now - buffered_at_ >= settings_.every) {
        store_until(UINT64_MAX);
    }
    if (stored_ != before || now - confirmed_at_ > k_confirm_every) {
        confirm(replication);
    }
}

// Asked on another session: what the server has written, and up to which order.
void Receiver::look(Session& session) {
    std::int64_t order = 0;
    if (has_orders_) {
        order = std::strtoll(
            session.ask("SELECT coalesce(max(order_id), 0) FROM orders").c_str(), nullptr, 10
        );
    } else {
        has_orders_ = session.ask("SELECT to_regclass('orders') IS NOT NULL") == "t";
    }
    const Rows clock =
        session.query("SELECT (extract(epoch FROM clock_timestamp()) * 1e9)::bigint");
    const Rows log =
        session.query("SELECT pg_current_wal_insert_lsn(), pg_current_wal_flush_lsn()");
    const Lsn flushed = lsn_of(log.at(0).at(1));
    const Mark mark{
        end_of_log(lsn_of(log[0][0]), flushed),
        std::strtoll(clock.at(0).at(0).c_str(), nullptr, 10) - k_clock_margin_ns,
        order};
    // While nothing is written, one mark grows newer.
    if (!marks_.empty() && marks_.back().lsn == mark.lsn) {
        marks_.pop_back();
    }
    marks_.push_back(mark);
    if (mark.lsn <= stored_ && mark.order > marked_order_) {
        wal_.put_mark(timeline_, mark);
        marked_order_ = mark.order;
    }
    const std::lock_guard lock{mutex_};
    looked_at_ = steady_now();
    state_.written = flushed;
    state_.streaming = true;
    state_.problem.clear();
    if (mark.lsn <= stored_) {
        state_.stored_real_ns = std::max(state_.stored_real_ns, mark.real_ns);
    }
    if (flushed > stored_ && (seen_.empty() || seen_.back().first < flushed)) {
        seen_.emplace_back(flushed, looked_at_);
    }
    if (seen_.size() > k_seen_max) {
        seen_.erase(seen_.begin() + 1);
    }
    changed_.notify_all();
}

// https://www.postgresql.org/docs/15/protocol-replication.html, "Standby status update".
void Receiver::confirm(Session& replication) {
    std::string message{"r"};
    for (int i = 0; i < 3; ++i) {
        append_big_endian(message, stored_);
    }
    const std::int64_t now_us = real_now_ns() / 1'000;
    append_big_endian(message, static_cast<std::uint64_t>(now_us - k_epoch_s * 1'000'000));
    message.push_back(0);
    replication.send(message);
    confirmed_at_ = steady_now();
}

}  // namespace tenon::backup_postgres
