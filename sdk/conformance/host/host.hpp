// SPDX-License-Identifier: Apache-2.0
// The kit's host: every service that a plugin may ask for, checked at every call.
//
// Each call is compared with the state of the plugin (the allowed-calls table of the SDK), the
// thread that it may come from, and what its arguments may be; what is wrong is recorded, never
// fatal. What a plugin registers is counted. Tables can be cut to an older size, be longer than
// known with a tail of 0xA5, or be left out; the n-th call that may fail can be made to fail.
//
// Sealing is a plain wrapper with the context checked, not encryption. Nothing here is shared with
// the kernel.
#pragma once

#include "sdk/conformance/host/account.hpp"
#include "sdk/conformance/host/reactor.hpp"

#include <tenon/plugin.hpp>

#include <atomic>
#include <cstddef>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace tenon::conformance {

// What the host believes of the instance; a call in progress counts as the state it leads to.
enum class State : std::uint8_t {
    creating,
    created,
    configured,
    started,
    draining,
    stopped,
    destroying,
    destroyed
};

[[nodiscard]] std::string_view to_text(State state);

struct HostOptions {
    std::map<std::string, std::string> environment;
    std::map<std::string, std::uint32_t, std::less<>> table_sizes;  // service to bytes, cut
    std::set<std::string, std::less<>> without;                     // services that are missing
    std::set<std::string, std::less<>> declared;                    // the manifest's requires
    bool longer_tables = false;  // size beyond what is known, filled with 0xA5
    bool poisoned_tail = false;  // 0xA5 behind the size that is given
    std::uint32_t flags = 0;     // in every table
    std::int64_t fail_call = 0;  // this call of those that may fail does; from 1, 0 is none
};

enum class Fault : std::uint8_t { state, thread, argument };

struct Violation {
    Fault fault;
    std::string text;  // "tenon.exec/1 timer: called on another thread than the reactor"
};

class Host {
public:
    Host(Reactor& reactor, HostOptions options);
    ~Host();
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    [[nodiscard]] const tenon_host* raw() const noexcept {
        return reinterpret_cast<const tenon_host*>(host_.data());
    }

    [[nodiscard]] Reactor& reactor() noexcept { return reactor_; }

    // A provider of an interface, before the plugin is created. Several are possible.
    void bind(std::string interface_id, tenon_iface iface, std::string instance);

    // The instance's own doing; the thread that sets it is the control thread from then on.
    void set_state(State state);

    [[nodiscard]] State state() const noexcept { return state_; }

    // [any] What happened so far. A log line is `level event key=value …`.
    [[nodiscard]] std::vector<std::string> log_lines() const;
    [[nodiscard]] std::int32_t health_of(const std::string& component) const;
    [[nodiscard]] std::map<std::string, std::int32_t> health() const;
    // 0 when there is no such series. `labels` as in `status="2xx"`.
    [[nodiscard]] std::int64_t metric(const std::string& name, const std::string& labels = "")
        const;
    [[nodiscard]] std::set<std::string> metric_names() const;
    [[nodiscard]] std::vector<Violation> violations() const;
    [[nodiscard]] std::vector<std::string> commands() const;
    // `actor action subject detail` of each record.
    [[nodiscard]] std::vector<std::string> audited() const;

    // What tenon.config/1 gives from now on; watchers are called when the generation moves on.
    void set_config(std::string json, bool applied);
    // Delivers a message of another plugin to the subscriptions, on the reactor.
    void deliver(std::string topic, std::string type, std::string data);

    // Calls every on_collect callback, as a scrape does.
    void collect();
    // Runs an admin command on this thread; an Error when it fails or is unknown.
    [[nodiscard]] std::string admin(const std::string& name, std::string_view args_json);

    // The same with a sink and an error of one's own; TENON_NOT_FOUND when it is unknown.
    tenon_status run_command(
        const std::string& name,
        std::string_view args_json,
        tenon_sink out,
        tenon_err* err
    );

    [[nodiscard]] const Account& account() const noexcept { return account_; }

    // Calls that may fail, so far: the range of HostOptions::fail_call.
    [[nodiscard]] std::int64_t failable_calls() const noexcept { return failable_calls_; }

    // The host services that the kit knows, with the sizes of their tables from the first revision
    // of the ABI to now.
    struct Known {
        std::string_view id;
        std::uint32_t size;       // as known now
        std::uint32_t oldest;     // as first published
        std::uint32_t slot_size;  // of what was appended
    };

    [[nodiscard]] static std::vector<Known> known_services();

private:
    friend struct HostTables;
    friend struct HostExec;
    friend struct HostServices;
    friend struct HostEvents;

    enum class Tag : std::uint8_t { any, control, reactor, off_reactor };
    // Which states a call is allowed in.
    enum class When : std::uint8_t { always, from_configure, started, removal };

    struct Site {
        std::string_view service, call;
        When when = When::always;
        Tag tag = Tag::any;
        bool failable = false;
    };

    struct Series {
        bool is_gauge = false;
        std::uint64_t counter = 0;
        std::int64_t gauge = 0;
    };

    struct Provider {
        std::string interface_id, instance;
        tenon_iface iface;
    };

    struct Command {
        void* ctx;
        tenon_status (*run)(void*, tenon_str, tenon_sink, tenon_err*);
    };

    struct Subscription {
        std::string topic;
        void* ctx;
        void (*fn)(void*, const tenon_bus_message*);
    };

    struct Watcher {
        void* ctx;
        void (*fn)(void*, std::uint64_t);
    };

    struct Table {
        std::string id;
        std::vector<std::byte> bytes;
    };

    static Host& of(void* self) noexcept { return *static_cast<Host*>(self); }

    static tenon_status query(void* self, tenon_str id, tenon_iface* out) noexcept;

    // Checks one call; true when it is to fail. Slots of the tables begin with it.
    bool enter(const Site& site);
    void blame(Fault fault, const Site& site, std::string_view what);
    // Not NULL with a length, and UTF-8.
    bool check_text(const Site& site, tenon_str text, std::string_view what);
    void add_table(std::string_view id, const void* known, std::uint32_t size);
    [[nodiscard]] Series& series(tenon_str name, const tenon_label* labels, std::uint32_t count);

    Reactor& reactor_;
    HostOptions options_;
    Account account_;
    Account bus_account_;  // deliveries under way
    std::vector<std::byte> host_;
    std::vector<Table> tables_;
    std::vector<Provider> providers_;
    std::atomic<State> state_{State::creating};
    std::atomic<std::thread::id> control_thread_;
    std::atomic<std::int64_t> failable_calls_{0};
    mutable std::mutex mutex_;  // of what is below
    std::vector<std::string> log_;
    std::vector<Violation> violations_;
    std::map<std::string, Series> series_;
    std::set<std::string> metric_names_;
    std::map<std::uint64_t, std::pair<tenon_fn, void*>> collectors_;
    std::uint64_t next_collector_ = 1;
    std::map<std::string, std::int32_t> health_;
    std::map<std::string, Command> commands_;
    std::map<std::uint64_t, Subscription> subscriptions_;
    std::map<std::uint64_t, Watcher> watchers_;
    std::uint64_t next_handle_ = 1;
    std::string config_ = "{}";
    std::uint64_t generation_ = 1;
    std::vector<std::string> audited_;
};

// True for well-formed UTF-8 (RFC 3629): no overlong form, no surrogate, nothing above U+10FFFF.
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

}  // namespace tenon::conformance
