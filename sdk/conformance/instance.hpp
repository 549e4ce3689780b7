// SPDX-License-Identifier: Apache-2.0
// One instance of a plugin on a host of its own, and the calls of its lifecycle.
//
// The calls do what they are told, in whatever order; they keep the host's idea of the state right.
// The destructor stops what is started and destroys.
#pragma once

#include "sdk/conformance/host/host.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::conformance {

// What a call answered.
struct Answer {
    tenon_status status = TENON_OK;
    std::string message;         // of the tenon_err, when it failed
    std::int32_t err_code = 0;   // as written into the tenon_err
    std::uint32_t err_size = 0;  // must be what the caller set
    std::uint32_t err_len = 0;   // as written, whether it fits or not
    bool threw = false;          // an exception came out

    [[nodiscard]] bool ok() const { return status == TENON_OK; }

    // "TENON_INVALID (-2): message".
    [[nodiscard]] std::string text() const;
};

[[nodiscard]] std::string status_text(tenon_status status);

class Instance {
public:
    Instance(Reactor& reactor, const tenon_entry* entry, HostOptions options);
    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    Answer create();
    Answer configure(std::string_view json, bool dry_run = false);
    Answer configure(tenon_str json, bool dry_run);
    Answer start();
    // TENON_PENDING is waited for until the deadline has passed for a second.
    Answer drain(std::int64_t deadline_ns);
    void stop();
    void destroy();

    // Takes the next tenon_err of create, configure and start in place of one of the full size.
    void set_error_buffer(tenon_err* err) { error_ = err; }

    void give_no_error_buffer() { no_error_ = true; }

    // The interface, which the plugin must give; Abandoned when not.
    template <class Table>
    [[nodiscard]] Service<Table> get(std::string_view interface_id) {
        return service_from<Table>(iface(interface_id));
    }

    [[nodiscard]] tenon_iface iface(std::string_view interface_id);
    [[nodiscard]] tenon_status query(std::string_view interface_id, tenon_iface* out) const;

    [[nodiscard]] Host& host() noexcept { return host_; }

    [[nodiscard]] tenon_plugin* raw() noexcept { return plugin_; }

    [[nodiscard]] State state() const noexcept { return host_.state(); }

private:
    template <class Call>
    Answer answer_of(Call call);

    const tenon_entry* entry_;
    Host host_;
    tenon_plugin* plugin_ = nullptr;
    tenon_err* error_ = nullptr;
    std::vector<std::shared_ptr<void>> drains_;  // what their done calls write to
    bool no_error_ = false;
};

}  // namespace tenon::conformance
