// SPDX-License-Identifier: Apache-2.0
// tenon.monitor.history: measures what its list says every interval and keeps it, finer for what is
// new; GET /api/history, GET /api/history/series, `tenon history show|series`.
#include "plugins/monitor/history/answer.hpp"
#include "sdk/machine/page.hpp"

#include <tenon/admin.hpp>
#include <tenon/background_job.hpp>
#include <tenon/http.hpp>
#include <tenon/in_flight.hpp>
#include <tenon/metrics.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace tenon::history {
namespace {

constexpr std::int64_t k_ms = 1'000'000;
constexpr std::int64_t k_sync_every_ns = 60'000'000'000;
// The clock was set when it differs from the time that passed by so much.
constexpr std::int64_t k_clock_step_ms = 5'000;
// Answers at a time. Anybody may ask, and the pool has work of others to do.
constexpr std::uint32_t k_answers_max = 4;

using Definitions = std::shared_ptr<const std::vector<Definition>>;

// What was found in a text from outside, made fit for a message.
std::string printable(std::string_view text) {
    std::string out{text};
    std::replace_if(
        out.begin(), out.end(), [](char c) { return c < ' ' || c > '~'; }, '?'
    );
    return out;
}

struct Answered {
    std::uint32_t status = 200;
    std::string body;
};

Answered failed(std::uint32_t status, std::string_view code, std::string_view message) {
    std::string body{"{\"error\":{\"code\":"};
    append_json(body, code);
    body.append(",\"message\":");
    append_json(body, printable(message));
    return {status, body.append("}}")};
}

class HistoryPlugin final : public Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view json, bool dry_run) override {
        const Settings settings{json};
        const auto interval = settings.get<std::chrono::seconds>("interval_s");
        auto file = read_series(settings.get<std::string>("series_file"));
        if (dry_run) {
            return;
        }
        const std::lock_guard lock{mutex_};
        definitions_ = std::make_shared<const std::vector<Definition>>(std::move(file.definitions));
        if (!is_running_) {
            interval_ = interval;
        }
    }

    void start() override {
        is_running_ = true;
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        metrics_ = host().service<tenon_metrics_1>("tenon.metrics/1");
        exec_ = host().service<tenon_exec_1>("tenon.exec/1");
        data_dir_ = host().environment("data_dir");
        make_metrics();
        add_commands();
        add_routes();
        // What fails is tried again with each measurement.
        (void)guard(nullptr, [this] { open(); });
        JobOptions options;
        options.jitter = 0;
        options.first_after = std::chrono::seconds{1};
        job_ = every(
            host(), "history", interval_, [this] { measure(); }, options
        );
    }

    void stop() noexcept override {
        commands_.clear();
        if (routes_) {
            routes_->clear();
            in_flight_.wait();
            routes_.reset();
        }
        job_.stop();
        (void)guard(nullptr, [this] { recorder_.sync(); });
        is_running_ = false;
    }

private:
    [[nodiscard]] SeriesFile read_series(const std::string& setting) const {
        if (setting.empty()) {
            return SeriesFile{Settings{builtin_series()}};
        }
        const std::filesystem::path file =
            std::filesystem::path{host().environment("deployment_dir")} / setting;
        std::ifstream in{file};
        if (!in) {
            throw Error{TENON_INVALID, "series_file: cannot read " + file.string()};
        }
        const std::string text{
            std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{}};
        try {
            return SeriesFile{Settings{text}};
        } catch (const Error& e) {
            throw Error{TENON_INVALID, file.string() + ": " + e.what()};
        }
    }

    void make_metrics() {
        const Metrics metrics{metrics_};
        series_ = metrics.gauge("tenon_history_series", "Series whose history is kept");
        left_out_ = metrics.gauge(
            "tenon_history_series_left_out", "Series that are not kept because there are too many"
        );
        damaged_ = metrics.gauge(
            "tenon_history_damaged_rows", "Rows of the history that were found damaged"
        );
        steps_back_ = metrics.counter(
            "tenon_history_clock_steps_back_total", "Times that the clock was set back"
        );
    }

    void add_commands() {
        commands_.open(host());
        commands_.add(
            "history.show",
            "{\"series\":\"cpu,http_p95\",\"from\":\"-3600\",\"to\":\"0\",\"step\":\"60\"}: their "
            "history; times as at GET /api/history",
            [this](const Settings& args) {
                Question question;
                for (const std::string& name : args.object().keys()) {
                    ask(question, name, args.get<std::string>(name));
                }
                return history(question);
            }
        );
        commands_.add("history.series", "{}: what is kept", [this](const Settings&) {
            return series_kept();
        });
    }

    void add_routes() {
        const auto service = host().find<tenon_http_routes_1>("tenon.http_routes/1");
        if (!service) {
            return;
        }
        routes_ = std::make_unique<HttpRoutes>(service);
        routes_->mount("GET", "/api/history", [this](const tenon_http_request& request) {
            answer(request.handle, [this, query = std::string{view(request.query)}] {
                return history(question_of(query));
            });
        });
        routes_->mount("GET", "/api/history/series", [this](const tenon_http_request& request) {
            answer(request.handle, [this] { return series_kept(); });
        });
    }

    [[nodiscard]] std::string history(const Question& question) {
        open();
        return history_json(recorder_, *definitions(), question, now_ms());
    }

    [[nodiscard]] std::string series_kept() {
        open();
        return series_json(recorder_, *definitions(), now_ms());
    }

    // The files are read on the pool; the answer is given on the reactor, which alone may.
    void answer(std::uint64_t request, std::function<std::string()> make) {
        if (answers_.load() >= k_answers_max) {
            refuse_busy(request);
            return;
        }
        enter();
        try {
            run_blocking(exec_, [this, request, make = std::move(make)] {
                finish(request, answered(make));
            });
        } catch (const Error&) {
            leave();
            refuse_busy(request);
        }
    }

    void refuse_busy(std::uint64_t request) {
        const Answered busy = failed(503, "busy", "too many ask for the history at once");
        (void)routes_->respond(request, {busy.status, "application/json", busy.body});
    }

    [[nodiscard]] static Answered answered(const std::function<std::string()>& make) noexcept {
        try {
            return {200, make()};
        } catch (const Error& e) {
            const bool is_missing = e.code() == TENON_NOT_FOUND;
            const bool is_wrong = e.code() == TENON_INVALID;
            return is_missing ? failed(404, "not_found", e.what())
                   : is_wrong ? failed(400, "invalid", e.what())
                              : failed(500, "failed", "the history could not be read");
        } catch (...) {
            return {
                500, R"({"error":{"code":"failed","message":"the history could not be read"}})"};
        }
    }

    void finish(std::uint64_t request, Answered made) {
        try {
            post(exec_, 0, [this, request, made = std::move(made)] {
                (void)routes_->respond(request, {made.status, "application/json", made.body});
                leave();
            });
        } catch (const Error& e) {
            host().log().warn("history_not_answered", {{"reason", e.what()}});
            leave();
        }
    }

    void enter() {
        in_flight_.enter();
        ++answers_;
    }

    void leave() noexcept {
        --answers_;
        in_flight_.leave();
    }

    [[nodiscard]] Definitions definitions() const {
        const std::lock_guard lock{mutex_};
        return definitions_;
    }

    [[nodiscard]] std::int64_t now_ms() const { return clock_->now_real_ns(clock_.self) / k_ms; }

    // Once, by whoever comes first; a command may ask before anything was measured.
    void open() {
        const std::lock_guard lock{open_mutex_};
        if (is_open_) {
            return;
        }
        const auto id = static_cast<std::uint64_t>(clock_->now_real_ns(clock_.self));
        const std::filesystem::path folder = std::filesystem::path{data_dir_} / "history";
        const std::string why = recorder_.open(folder, id);
        if (!why.empty()) {
            host().log().warn("history_begun_anew", {{"reason", why}});
        }
        is_open_ = true;
    }

    void measure() {
        open();
        const std::int64_t passed_ms = clock_->now_ns(clock_.self) / k_ms;
        const std::int64_t offset_ms = now_ms() - passed_ms;
        const Definitions definitions = this->definitions();
        if (definitions != wanted_ || std::abs(offset_ms - offset_ms_) > k_clock_step_ms) {
            // Rates go by the time that passed: of another list, or after a step of the clock,
            // they begin anew.
            samples_ = series::Samples{};
            for (const Definition& definition : *definitions) {
                definition.value.want(samples_);
            }
            wanted_ = definitions;
            offset_ms_ = offset_ms;
        }
        samples_.add(machine::metrics_page(metrics_, data_dir_), passed_ms + offset_ms_);
        Recorder::Values values;
        for (const Definition& definition : *definitions) {
            for (const series::Value& value : definition.value.evaluate(samples_)) {
                values.emplace_back(series_of(definition.name, value.labels), value.value);
            }
        }
        recorder_.add(now_ms() / 1'000, values);
        tell_counts();
        if (passed_ms * k_ms - synced_ns_ >= k_sync_every_ns) {
            recorder_.sync();
            synced_ns_ = passed_ms * k_ms;
        }
    }

    void tell_counts() {
        const Recorder::Counts counts = recorder_.counts();
        series_.set(static_cast<std::int64_t>(counts.series));
        left_out_.set(static_cast<std::int64_t>(counts.left_out));
        damaged_.set(static_cast<std::int64_t>(counts.damaged_rows));
        steps_back_.add(counts.steps_back - told_steps_back_);
        told_steps_back_ = counts.steps_back;
    }

    mutable std::mutex mutex_;
    Definitions definitions_;  // guarded by mutex_
    bool is_running_ = false;  // the control thread's
    std::chrono::seconds interval_{10};
    std::string data_dir_;
    Recorder recorder_;
    std::mutex open_mutex_;
    bool is_open_ = false;  // guarded by open_mutex_
    // The job's.
    series::Samples samples_;
    Definitions wanted_;
    std::int64_t offset_ms_ = 0, synced_ns_ = 0;
    std::uint64_t told_steps_back_ = 0;
    Service<tenon_clock_1> clock_;
    Service<tenon_metrics_1> metrics_;
    Service<tenon_exec_1> exec_;
    Gauge series_, left_out_, damaged_;
    Counter steps_back_;
    InFlight in_flight_;
    std::atomic<std::uint32_t> answers_{0};  // what in_flight_ counts; it cannot be asked
    std::unique_ptr<HttpRoutes> routes_;
    AdminCommands commands_;
    BackgroundJob job_;
};

}  // namespace
}  // namespace tenon::history

TENON_EXPORT_PLUGIN(tenon::history::HistoryPlugin)
