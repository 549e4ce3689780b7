// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/alerts/delivery.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <unistd.h>
#include <utility>

namespace tenon::alerts {
namespace {

[[nodiscard]] Severity severity_of(const Settings& json, std::string_view key) {
    const auto text = json.get<std::string>(key, "warning");
    if (text != "warning" && text != "critical") {
        json.refuse(std::string{key} + ": expected warning or critical");
    }
    return text == "critical" ? Severity::critical : Severity::warning;
}

// It goes into labels of metrics, components and heads of mails.
[[nodiscard]] bool is_word(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '.' || c == '_';
    });
}

[[nodiscard]] std::string server_name(const Settings& json) {
    auto name = json.get<std::string>("server", "");
    if (name.empty()) {
        std::array<char, 65> host{};
        if (::gethostname(host.data(), host.size() - 1) == 0) {
            name = host.data();
        }
        return is_word(name) ? name : "tenon";
    }
    if (!is_word(name)) {
        json.refuse("server: expected letters, digits, '-', '.' and '_', 64 at most");
    }
    return name;
}

[[nodiscard]] DeliverySettings::Post
mail_settings(const Settings& json, const std::string& server) {
    DeliverySettings::Post mail;
    mail.relay = parse_relay(json.get<std::string>("mail_relay"));
    mail.envelope.hello = server;
    mail.envelope.user = json.get<std::string>("mail_user", "");
    mail.envelope.password = json.get<std::string>("mail_password", "");
    mail.envelope.from = json.get<std::string>("mail_from", "");
    mail.envelope.to = json.get<std::vector<std::string>>("mail_to", {});
    mail.least = severity_of(json, "mail_severity");
    if (mail.envelope.to.empty()) {
        json.refuse("mail_to: expected an address");
    }
    check_address(mail.envelope.from);
    for (const std::string& to : mail.envelope.to) {
        check_address(to);
    }
    if (mail.envelope.user.empty() != mail.envelope.password.empty()) {
        json.refuse("mail_user and mail_password: expected both or none");
    }
    if (!mail.envelope.user.empty() && !mail.relay.is_sealed()) {
        json.refuse("mail_user: a password goes over smtps:// or smtp+starttls:// only");
    }
    return mail;
}

}  // namespace

DeliverySettings::Hook::Hook(const Settings& json)
    : name{json.get<std::string>("name")},
      url{net::parse_url(json.get<std::string>("url"))},
      secret{json.get<std::string>("secret", "")},
      least{severity_of(json, "severity")} {
    if (!is_word(name)) {
        json.refuse("name: expected letters, digits, '-', '.' and '_', 64 at most");
    }
}

DeliverySettings::DeliverySettings(const Settings& json)
    : server{server_name(json)},
      ca_file{json.get<std::string>("ca_file", "")},
      hooks{json.get<std::vector<Hook>>("webhooks", {})} {
    const auto ms = [&](std::string_view key, std::int64_t fallback_s) {
        return json.get<std::int64_t>(key, fallback_s) * 1000;
    };
    grouping.wait_ms = ms("group_wait_s", 15);
    grouping.interval_ms = ms("group_interval_s", 60);
    if (!json.get("grouping", true)) {
        grouping.wait_ms = 0;
        grouping.interval_ms = 0;
    }
    grouping.repeat_ms = ms("repeat_s", 14'400);
    grouping.calm_ms = ms("calm_s", 900);
    std::set<std::string> known{"mail"};
    for (const Hook& hook : hooks) {
        if (!known.insert(hook.name).second) {
            json.refuse("webhooks: two targets have the name " + hook.name);
        }
    }
    if (!json.get<std::string>("mail_relay", "").empty()) {
        mail = mail_settings(json, server);
    }
}

bool DeliverySettings::needs_tls() const {
    return (mail && mail->relay.is_sealed()) ||
           std::any_of(hooks.begin(), hooks.end(), [](const Hook& hook) {
               return hook.url.is_tls;
           });
}

std::vector<std::string> DeliverySettings::names() const {
    std::vector<std::string> out;
    for (const Hook& hook : hooks) {
        out.push_back(hook.name);
    }
    if (mail) {
        out.emplace_back("mail");
    }
    return out;
}

Delivery::Delivery(
    const Host& host,
    const DeliverySettings& settings,
    std::shared_ptr<const net::TlsContext> tls,
    Outbox::Tell tell
)
    : exec_{host.service<tenon_exec_1>("tenon.exec/1")},
      resolver_{exec_, 0},
      outbox_{exec_, std::hash<std::string>{}(settings.server), std::move(tell)} {
    const auto clock = host.service<tenon_clock_1>("tenon.clock/1");
    const net::Network network{exec_, 0, &resolver_, std::move(tls)};
    const Metrics metrics{host};
    const auto metrics_of = [&](std::string_view target) {
        const std::string name{target};
        return TargetMetrics{
            metrics.counter(
                "tenon_alerts_sent_total", "Notices of alerts that arrived", {{"target", name}}
            ),
            metrics.counter(
                "tenon_alerts_send_failures_total",
                "Attempts to deliver a notice that failed",
                {{"target", name}}
            ),
            metrics.counter(
                "tenon_alerts_notices_lost_total",
                "Notices that were refused, too old or too many",
                {{"target", name}}
            ),
            metrics.gauge(
                "tenon_alerts_notices_waiting", "Notices that wait for delivery", {{"target", name}}
            )};
    };
    for (const DeliverySettings::Hook& hook : settings.hooks) {
        WebhookOptions options;
        options.url = hook.url;
        options.secret = hook.secret;
        options.clock = clock;
        options.seed = std::hash<std::string>{}(hook.name);
        outbox_.add_target(
            hook.name,
            hook.least,
            std::make_unique<Webhook>(network, std::move(options)),
            metrics_of(hook.name)
        );
    }
    if (settings.mail) {
        const DeliverySettings::Post& mail = *settings.mail;
        outbox_.add_target(
            "mail",
            mail.least,
            std::make_unique<Mail>(network, mail.relay, mail.envelope, clock),
            metrics_of("mail")
        );
    }
}

}  // namespace tenon::alerts
