// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/host_pool.hpp"

#include <algorithm>

namespace tenon::postgres {
namespace {

constexpr std::int64_t k_pool_moment_ns = 10 * k_ms;

// "host", "host:port", "[::1]:port", or "/folder" of a unix socket.
void add_host(Keywords& keywords, const std::string& text) {
    const std::size_t colon = text.rfind(':');
    const bool has_port = colon != std::string::npos && text.front() != '/' &&
                          text.find_first_not_of("0123456789", colon + 1) == std::string::npos &&
                          colon + 1 < text.size() &&
                          (text.front() == '[' || text.find(':') == colon);
    std::string host = has_port ? text.substr(0, colon) : text;
    if (!host.empty() && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
    }
    if (host.empty()) {
        throw Error{TENON_INVALID, "/hosts: expected host or host:port, found '" + text + "'"};
    }
    keywords.emplace_back("host", host);
    if (has_port) {
        keywords.emplace_back("port", text.substr(colon + 1));
    }
}

std::string value_of_keyword(const Keywords& keywords, std::string_view name) {
    std::string value;
    for (const auto& [key, text] : keywords) {
        if (key == name) {
            value = text;
        }
    }
    return value;
}

// What libpq takes where nothing is said: of PGHOST, PGHOSTADDR and the service of PGSERVICE.
std::string default_of(std::string_view name) {
    PQconninfoOption* const options = PQconndefaults();
    std::string value;
    for (const PQconninfoOption* option = options; option != nullptr && option->keyword != nullptr;
         ++option) {
        if (option->keyword == name && option->val != nullptr) {
            value = option->val;
        }
    }
    PQconninfoFree(options);
    return value;
}

void refuse_several(const Keywords& keywords) {
    for (const char* const name : {"host", "hostaddr"}) {
        const std::string own = value_of_keyword(keywords, name);
        if ((own.empty() ? default_of(name) : own).find(',') != std::string::npos) {
            throw Error{
                TENON_INVALID,
                std::string{own.empty() ? "the environment" : "/conninfo"} +
                    ": several servers in " + name +
                    ": list them in /hosts, where they are watched and fenced"};
        }
    }
}

}  // namespace

std::vector<Keywords> keywords_of(const Settings& settings) {
    Keywords common;
    if (!settings.conninfo.empty()) {
        char* message = nullptr;
        PQconninfoOption* options = PQconninfoParse(settings.conninfo.c_str(), &message);
        if (options == nullptr) {
            // libpq's words quote the text, and a password may be in it.
            PQfreemem(message);
            throw Error{TENON_INVALID, "/conninfo: not a connection string of libpq"};
        }
        for (const PQconninfoOption* option = options; option->keyword != nullptr; ++option) {
            if (option->val != nullptr) {
                common.emplace_back(option->keyword, option->val);
            }
        }
        PQconninfoFree(options);
    }
    const auto fallback = [&](const char* name, const std::string& value) {
        if (!value.empty() && value_of_keyword(common, name).empty()) {
            common.emplace_back(name, value);
        }
    };
    fallback("dbname", settings.database);
    fallback("user", settings.user);
    fallback("password", settings.password);
    fallback("sslmode", settings.tls_mode);
    std::vector<Keywords> all;
    for (const std::string& host : settings.hosts) {
        Keywords one = common;
        std::erase_if(one, [](const auto& keyword) {
            return keyword.first == "host" || keyword.first == "hostaddr";
        });
        add_host(one, host);
        all.push_back(std::move(one));
    }
    if (all.empty()) {
        refuse_several(common);
        all.push_back(std::move(common));
    } else if (!default_of("hostaddr").empty()) {
        throw Error{
            TENON_INVALID,
            "/hosts: the environment has a hostaddr (PGHOSTADDR or a service), and each of them "
            "would be that one"};
    }
    return all;
}

std::string HostBackend::name() const {
    const std::string host = value_of_keyword(keywords_, "host");
    const std::string port = value_of_keyword(keywords_, "port");
    return (host.empty() ? "localhost" : host) + ":" + (port.empty() ? "5432" : port);
}

std::unique_ptr<Connection> HostBackend::connect(std::int64_t deadline_ns) {
    const std::int64_t until_ns = now_ns() + settings_->connect_timeout_ms * k_ms;
    // The pool took the same time a moment ago; clearly less is its caller's.
    const bool hurried = deadline_ns < until_ns - k_pool_moment_ns;
    try {
        return std::make_unique<Connection>(
            *settings_, *telemetry_, keywords_, std::min(deadline_ns, until_ns)
        );
    } catch (const DatabaseError& e) {
        if (hurried && e.failure() == Failure::other_host && now_ns() >= deadline_ns) {
            throw DatabaseError{
                TENON_TIMEOUT,
                name() + " did not answer within the time that its caller had",
                Failure::timeout,
                ""};
        }
        throw;
    }
}

Returned HostBackend::give_back(Connection& connection) noexcept {
    const bool was_clean = connection.is_clean();
    if (!connection.make_idle()) {
        return connection.host_lost() ? Returned::lost : Returned::broken;
    }
    if (connection.queries() >= settings_->queries_max) {
        return Returned::worn;
    }
    return was_clean ? Returned::clean : Returned::reset;
}

void HostBackend::on_event(PoolEvent event, const std::string& text) noexcept {
    (void)guard(nullptr, [&] {
        switch (event) {
            case PoolEvent::leaked:
                telemetry_->log.warn("database_lease_leaked", {{"what", text}});
                break;
            case PoolEvent::cut_off:
                telemetry_->log.error("database_unreachable", {{"what", text}});
                break;
            case PoolEvent::restored:
                telemetry_->log.info("database_restored", {{"what", text}});
                break;
        }
    });
}

PoolOptions pool_options(const Settings& settings, std::uint64_t seed) {
    PoolOptions options;
    options.size_max = settings.pool_size;
    options.size_min = std::min(settings.pool_min, settings.pool_size);
    options.uses_max = settings.queries_max;
    options.connect_timeout_ns = settings.connect_timeout_ms * k_ms;
    options.ping_after_ns = settings.health_check_ms * k_ms;
    options.idle_max_ns = settings.idle_timeout_s * k_second;
    options.seed = seed;
    return options;
}

}  // namespace tenon::postgres
