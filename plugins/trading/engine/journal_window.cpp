// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/journal_window.hpp"

#include "plugins/trading/engine/journal_replay.hpp"
#include "plugins/trading/engine/journal_view.hpp"

namespace tenon::engine {
namespace {

const char* command_of(const Settings& settings) {
    return settings.replay ? "journal.replay" : "journal.at";
}

[[nodiscard]] Moment moment_of(const std::string& time, std::optional<std::uint64_t> sequence) {
    return {sequence, time.empty() ? std::nullopt : std::optional{parse_moment(time)}};
}

// Venues send nothing before live(), which is never called here.
const tenon_venue_input_1 k_deaf_input{
    sizeof(tenon_venue_input_1),
    0,
    [](void*, tenon_bytes) noexcept -> tenon_status { return TENON_UNAVAILABLE; }};

}  // namespace

JournalWindow::JournalWindow(const Host& host, const Settings& settings)
    : host_{host}, settings_{settings}, admin_{host.service<tenon_admin_1>("tenon.admin/1")} {}

JournalWindow::~JournalWindow() {
    if (registered_) {
        admin_->remove(admin_.self, str(command_of(settings_)));
    }
    for (const trading::VenueBinding& binding : venues_) {
        (void)binding.venue->attach(binding.venue.self, {nullptr, nullptr}, nullptr);
    }
}

void JournalWindow::start() {
    const auto exec = host_.service<tenon_exec_1>("tenon.exec/1");
    try {
        call_on_reactor(exec, 0, [this] { look(); });
    } catch (const Error& error) {
        status_ = error.code();
        answer_ = error.what();
    }
    const tenon_status status = admin_->command(
        admin_.self,
        str(command_of(settings_)),
        str("journal: what the setting view or replay has asked for"),
        this,
        &JournalWindow::answer
    );
    if (status != TENON_OK) {
        throw Error{
            status, "the admin command " + std::string{command_of(settings_)} + " is taken"};
    }
    registered_ = true;
}

void JournalWindow::look() {
    instruments_ = host_.require<tenon_instruments_1>("tenon.instruments/1");
    attach_venues();
    answer_ = settings_.replay ? replay_answer() : view_answer();
}

std::unique_ptr<trading::Core> JournalWindow::make_core() const {
    trading::CoreOptions options;
    options.open_orders_max = settings_.open_orders_max;
    return std::make_unique<trading::Core>(instruments_, venues_, options);
}

std::string JournalWindow::view_answer() {
    const ViewSettings& wanted = *settings_.view;
    ViewRequest request;
    request.data_folder = wanted.data_dir;
    request.moment = moment_of(wanted.time, wanted.sequence);
    request.make_core = [this] { return make_core(); };
    const auto disk = journal::make_posix_disk();
    const View found = view_at(*disk, request);
    return view_json(found, instruments_, wanted.account, wanted.symbol);
}

std::string JournalWindow::replay_answer() {
    const ReplaySettings& wanted = *settings_.replay;
    ReplayRequest request;
    request.data_folder = wanted.data_dir;
    request.work_folder = wanted.work_dir;
    request.from = moment_of(wanted.from_time, wanted.from_sequence);
    request.to = moment_of(wanted.to_time, wanted.to_sequence);
    request.risk = wanted.risk;
    request.shown = wanted.shown;
    request.instruments = instruments_;
    request.make_core = [this] { return make_core(); };
    const auto disk = journal::make_posix_disk();
    return wanted.changed ? replay_changed(*disk, request) : replay_recorded(*disk, request);
}

void JournalWindow::attach_venues() {
    const auto services = host_.service<tenon_services_1>("tenon.services/1");
    const tenon_status status = services->each(
        services.self,
        str("tenon.venue/1"),
        &venues_,
        [](void* ctx, tenon_str instance, tenon_iface iface) -> tenon_status {
            return guard(nullptr, [&] {
                static_cast<std::vector<trading::VenueBinding>*>(ctx)->push_back(
                    {std::string{view(instance)}, service_from<tenon_venue_1>(iface)}
                );
            });
        }
    );
    if (status != TENON_OK && status != TENON_NOT_FOUND) {
        throw Error{status, "the venues could not be listed"};
    }
    for (const trading::VenueBinding& binding : venues_) {
        ErrorBuffer err;
        check(
            binding.venue->attach(binding.venue.self, {this, &k_deaf_input}, &err),
            err,
            "venue " + binding.name
        );
    }
}

tenon_status JournalWindow::answer(void* ctx, tenon_str, tenon_sink out, tenon_err* err) {
    return guard(err, [&]() -> tenon_status {
        const auto& window = *static_cast<const JournalWindow*>(ctx);
        if (window.status_ != TENON_OK) {
            throw Error{window.status_, window.answer_};
        }
        return out.put(out.ctx, bytes(window.answer_));
    });
}

}  // namespace tenon::engine
