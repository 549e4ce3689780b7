// SPDX-License-Identifier: Apache-2.0
// The plugin as a window on another server's journal (settings `view` and `replay`): it takes no
// orders and writes nothing there; it brings the venues of this process to the moment that was
// asked for, or through the span, once, and gives the answer as the admin command journal.at or
// journal.replay. [control]
#pragma once

#include "plugins/trading/engine/core/core.hpp"
#include "plugins/trading/engine/settings.hpp"

#include <tenon/plugin.hpp>

#include <memory>
#include <string>
#include <vector>

namespace tenon::engine {

class JournalWindow {
public:
    JournalWindow(const Host& host, const Settings& settings);
    ~JournalWindow();
    JournalWindow(const JournalWindow&) = delete;
    JournalWindow& operator=(const JournalWindow&) = delete;

    // What is wrong with the question or the journal is the answer of the command, no failure.
    void start();

private:
    void look();
    [[nodiscard]] std::string view_answer();
    [[nodiscard]] std::string replay_answer();
    [[nodiscard]] std::unique_ptr<trading::Core> make_core() const;
    void attach_venues();
    static tenon_status answer(void* ctx, tenon_str args, tenon_sink out, tenon_err* err);

    Host host_;
    Settings settings_;
    Service<tenon_admin_1> admin_;
    Service<tenon_instruments_1> instruments_;
    std::vector<trading::VenueBinding> venues_;
    std::string answer_;
    tenon_status status_ = TENON_OK;  // else answer_ says what is wrong
    bool registered_ = false;
};

}  // namespace tenon::engine
