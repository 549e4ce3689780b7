// SPDX-License-Identifier: Apache-2.0
// Questions come over the bus or as admin commands, batches go out on the blocking pool.
#include "plugins/trading/predictor/http_post.hpp"
#include "plugins/trading/predictor/provider.hpp"

#include <tenon/admin.hpp>
#include <tenon/bus.hpp>
#include <tenon/decimal.hpp>
#include <tenon/in_flight.hpp>
#include <tenon/json.hpp>
#include <tenon/metrics.hpp>
#include <tenon/settings.hpp>

#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <optional>

namespace tenon::predictor {
namespace {

constexpr std::string_view k_ask = "prediction.ask", k_made = "prediction.made",
                           k_made_type = "tenon.prediction/1";
constexpr std::size_t k_symbol_max = 64, k_input_max = 16'384, k_id_max = 128;

struct Config {
    explicit Config(const Settings& s)
        : url{parse_url(s.get<std::string>("url"))},
          model{s.get<std::string>("model")},
          api_key{s.get<std::string>("api_key")},
          batch_wait{s.get<std::int64_t>("batch_wait_ms")},
          timeout{s.get<std::int64_t>("timeout_ms")},
          requests_max{s.get<std::uint32_t>("requests_max")},
          price{cost_of(s.get<std::string>("price"))} {
        limits.batch_max = s.get<std::size_t>("batch_max");
        limits.queue_max = s.get<std::size_t>("queue_max");
        limits.waiting_max = limits.queue_max * 8;
        limits.cache_max = s.get<std::size_t>("cache_max");
        limits.keep_ns = s.get<std::int64_t>("keep_s") * 1'000'000'000;
        if (!s.get("answer_cache", true)) {
            limits.keep_ns = 0;
        }
        if (!s.get("batching", true)) {
            limits.batch_max = 1;
        }
    }

    Url url;
    std::string model, api_key;
    std::chrono::milliseconds batch_wait, timeout;
    std::uint32_t requests_max;
    std::int64_t price;
    Limits limits;
};

// {"symbol","input"} as a question; throws Error TENON_INVALID.
[[nodiscard]] Question question_of(const Json& json) {
    const Json* const symbol = json.find("symbol");
    const Json* const input = json.find("input");
    if (symbol == nullptr || !symbol->is(Json::Kind::text) || symbol->text().empty() ||
        symbol->text().size() > k_symbol_max) {
        throw Error{TENON_INVALID, "symbol: expected a text of 1 to 64 bytes"};
    }
    if (input != nullptr && !input->is(Json::Kind::object)) {
        throw Error{TENON_INVALID, "input: expected an object"};
    }
    Question question{symbol->text(), input != nullptr ? to_text(*input) : "{}"};
    if (question.input.size() > k_input_max) {
        throw Error{TENON_INVALID, "input: longer than 16384 bytes"};
    }
    return question;
}

[[nodiscard]] std::string
answer_json(std::string_view id, std::string_view symbol, const Answer& answer) {
    std::string out{"{"};
    if (!id.empty()) {
        out.append("\"id\":");
        append_json(out, id);
        out.push_back(',');
    }
    out.append("\"symbol\":");
    append_json(out, symbol);
    out.append(",\"cached\":").append(answer.is_cached ? "true" : "false");
    if (answer.status == TENON_OK) {
        return out.append(",\"prediction\":").append(answer.prediction).append(",\"error\":null}");
    }
    out.append(",\"prediction\":null,\"error\":");
    append_json(out, answer.message);
    return out.append("}");
}

class PredictorPlugin final : public Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view json, bool dry_run) override {
        auto config = std::make_unique<const Config>(Settings{json});
        if (dry_run) {
            return;
        }
        if (runs_) {  // threads of the pool read config_; what is live is in the limits
            predictor_->set_limits(config->limits);
            next_config_ = std::move(config);
        } else {
            config_ = std::move(config);
        }
    }

    void start() override {
        if (next_config_) {
            config_ = std::move(next_config_);
        }
        if (!config_) {
            throw Error{TENON_INVALID, "there are no settings"};
        }
        exec_ = host().service<tenon_exec_1>("tenon.exec/1");
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        health_ = host().service<tenon_health_1>("tenon.health/1");
        make_metrics();
        predictor_.emplace(config_->limits);
        is_stopping_ = false;
        runs_ = true;
        bus_.open(host());
        bus_.subscribe(k_ask, [this](const tenon_bus_message& message) { hear(message); });
        commands_.open(host());
        commands_.add(
            "predictions.ask",
            "predictions ask {\"symbol\",\"input\"}: a prediction, kept for a while",
            [this](const Settings& args) { return ask_and_wait(args.json()); }
        );
        commands_.add(
            "predictions.stats",
            "predictions stats: success rate, cost, what is kept",
            [this](const Settings&) { return stats_json(); }
        );
    }

    void stop() noexcept override {
        {
            const std::lock_guard lock{mutex_};
            is_stopping_ = true;
        }
        changed_.notify_all();
        bus_.clear();
        if (predictor_) {
            (void)guard(nullptr, [this] {
                predictor_->fail_queued({TENON_UNAVAILABLE, {}, "the server stops", false});
            });
        }
        commands_.clear();
        in_flight_.wait();
        runs_ = false;
    }

private:
    void make_metrics() {
        const Metrics metrics{host()};
        questions_ = metrics.counter("tenon_predictor_questions_total", "Predictions asked for");
        batches_ = metrics.counter("tenon_predictor_batches_total", "Requests to the provider");
        predictions_ =
            metrics.counter("tenon_predictor_predictions_total", "Predictions of the provider");
        cost_ = metrics.counter(
            "tenon_predictor_cost_total", "What the provider took, 10^-8 of its currency"
        );
        success_ = metrics.gauge(
            "tenon_predictor_success_ratio_bp", "Good ones of what the provider was asked, 1/10000"
        );
        duration_ = metrics.histogram(
            "tenon_predictor_batch_duration_seconds", "From a request to its answer"
        );
    }

    [[nodiscard]] std::int64_t now_ns() const { return clock_->now_ns(clock_.self); }

    // A question of another plugin: {"id","symbol","input"}.
    void hear(const tenon_bus_message& message) {
        std::string id, symbol;
        try {
            const Json json = Json::parse(view(message.data));
            if (const Json* const given = json.find("id");
                given != nullptr && given->is(Json::Kind::text)) {
                id = given->text().substr(0, k_id_max);
            }
            const Question question = question_of(json);
            symbol = question.symbol;
            ask(question, [this, id, symbol](const Answer& answer) { tell(id, symbol, answer); });
        } catch (const Error& e) {
            tell(id, symbol, {e.code(), {}, e.what(), false});
        }
    }

    void tell(std::string_view id, std::string_view symbol, const Answer& answer) {
        const tenon_status status = guard(nullptr, [&] {
            bus_.publish(k_made, k_made_type, answer_json(id, symbol, answer));
        });
        if (status != TENON_OK) {
            host().log().warn("prediction_not_published", {{"symbol", symbol}});
        }
    }

    void ask(const Question& question, Predictor::Done done) {
        questions_.add();
        if (predictor_->ask(question, now_ns(), std::move(done))) {
            wake();
        }
    }

    // On the pool: this thread does the work itself when nobody is at it, because threads that wait
    // for an answer could be all that the pool has.
    [[nodiscard]] std::string ask_and_wait(const Json& args) {
        const Question question = question_of(args);
        auto promise = std::make_shared<std::promise<Answer>>();
        auto answered = promise->get_future();
        questions_.add();
        (void)predictor_->ask(question, now_ns(), [promise](const Answer& answer) {
            promise->set_value(answer);
        });
        work();
        if (answered.wait_for(config_->timeout * 2 + config_->batch_wait) !=
            std::future_status::ready) {
            throw Error{TENON_TIMEOUT, "no prediction in time"};
        }
        const Answer answer = answered.get();
        if (answer.status != TENON_OK) {
            throw Error{answer.status, answer.message};
        }
        return answer_json({}, question.symbol, answer);
    }

    // A worker for what is queued, unless enough are at it or on their way.
    void wake() {
        {
            const std::lock_guard lock{mutex_};
            if (called_ + workers_ >= config_->requests_max || is_stopping_) {
                changed_.notify_one();
                return;
            }
            ++called_;
        }
        in_flight_.enter();
        try {
            run_blocking(exec_, [this] {
                {
                    const std::lock_guard lock{mutex_};
                    --called_;
                }
                (void)guard(nullptr, [this] { work(); });
                in_flight_.leave();
            });
        } catch (const Error& e) {
            {
                const std::lock_guard lock{mutex_};
                --called_;
            }
            in_flight_.leave();
            predictor_->fail_queued({TENON_UNAVAILABLE, {}, e.what(), false});
        }
    }

    // False: enough are at it.
    [[nodiscard]] bool engage() {
        const std::lock_guard lock{mutex_};
        if (workers_ >= config_->requests_max) {
            changed_.notify_one();
            return false;
        }
        ++workers_;
        return true;
    }

    void work() {
        if (!engage()) {
            return;
        }
        while (gather()) {
            const std::vector<Question> batch = predictor_->take();
            if (!batch.empty()) {
                send(batch);
            }
        }
    }

    // Waits until a batch is full or its first question has waited long enough. False: nothing is
    // left, and the worker has signed off.
    [[nodiscard]] bool gather() {
        std::unique_lock lock{mutex_};
        const std::int64_t wait_ns = std::chrono::nanoseconds{config_->batch_wait}.count();
        for (;;) {
            const std::int64_t oldest = predictor_->oldest_ns();
            if (is_stopping_) {
                predictor_->fail_queued({TENON_UNAVAILABLE, {}, "the server stops", false});
            }
            if (is_stopping_ || oldest == 0) {
                --workers_;
                return false;
            }
            const std::int64_t left = oldest + wait_ns - now_ns();
            if (left <= 0 || predictor_->queued() >= predictor_->batch_max()) {
                return true;
            }
            changed_.wait_for(lock, std::chrono::nanoseconds{left});
        }
    }

    void send(const std::vector<Question>& batch) {
        const std::int64_t begin = now_ns();
        try {
            const std::string authorization =
                config_->api_key.empty() ? "" : "Bearer " + config_->api_key;
            const std::string body = post_json(
                config_->url, {request_body(config_->model, batch), authorization, config_->timeout}
            );
            const BatchAnswer answer = read_answer(body, batch.size(), config_->price);
            predictor_->finish(batch, answer, now_ns());
            cost_.add(static_cast<std::uint64_t>(answer.cost));
            health_->set(health_.self, str("provider"), TENON_HEALTHY, str(""));
        } catch (const std::exception& e) {
            const auto* const error = dynamic_cast<const Error*>(&e);
            const tenon_status status = error != nullptr ? error->code() : TENON_UNAVAILABLE;
            host().log().warn("prediction_batch_failed", {{"reason", e.what()}});
            health_->set(health_.self, str("provider"), TENON_DEGRADED, str(e.what()));
            predictor_->fail(batch, {status, {}, e.what(), false});
        }
        batches_.add();
        predictions_.add(batch.size());
        const Stats stats = predictor_->stats();
        success_.set(static_cast<std::int64_t>(stats.success_bp()));
        duration_.observe(std::chrono::nanoseconds{now_ns() - begin});
    }

    [[nodiscard]] std::string stats_json() const {
        const Stats s = predictor_->stats();
        std::string out{"{"};
        const auto add = [&](std::string_view name, std::uint64_t value) {
            out.append("\"").append(name).append("\":").append(std::to_string(value)).append(",");
        };
        add("asked", s.asked);
        add("cached", s.cached);
        add("joined", s.joined);
        add("refused", s.refused);
        add("batches", s.batches);
        add("batches_failed", s.batches_failed);
        add("good", s.good);
        add("failed", s.failed);
        add("success_bp", s.success_bp());
        add("kept", s.kept);
        add("waiting", s.waiting);
        return out.append("\"cost\":\"").append(decimal_text(s.cost, k_cost_scale)).append("\"}");
    }

    std::unique_ptr<const Config> config_, next_config_;
    bool runs_ = false;
    Service<tenon_exec_1> exec_;
    Service<tenon_clock_1> clock_;
    Service<tenon_health_1> health_;
    Counter questions_, batches_, predictions_, cost_;
    Gauge success_;
    Histogram duration_;
    std::optional<Predictor> predictor_;
    Bus bus_;
    AdminCommands commands_;
    InFlight in_flight_;
    std::mutex mutex_;  // of the next four
    std::condition_variable changed_;
    std::uint32_t workers_ = 0, called_ = 0;
    bool is_stopping_ = false;
};

}  // namespace
}  // namespace tenon::predictor

TENON_EXPORT_PLUGIN(tenon::predictor::PredictorPlugin)
