// SPDX-License-Identifier: Apache-2.0
#include "sdk/vault/s3_place.hpp"

#include <boost/property_tree/ptree.hpp>
#include <boost/property_tree/xml_parser.hpp>

#include <algorithm>
#include <sstream>

namespace tenon::vault {
namespace {

namespace tree = boost::property_tree;
// Of an answer: a list has 1000 names, each of which has at most 512 bytes.
constexpr std::size_t k_answer_max = k_object_bytes_max + (std::size_t{1} << 20U);

[[nodiscard]] bool may_pass(unsigned status) noexcept {
    return status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

[[nodiscard]] tree::ptree parse(const Bytes& body) {
    std::istringstream in{std::string{body.begin(), body.end()}};
    tree::ptree parsed;
    tree::read_xml(in, parsed);
    return parsed;
}

// "CODE: MESSAGE" of the store, or nothing.
[[nodiscard]] std::string told_by(const WireReply& reply) {
    try {
        const tree::ptree parsed = parse(reply.body);
        const std::string code = parsed.get<std::string>("Error.Code", "");
        const std::string message = parsed.get<std::string>("Error.Message", "");
        return code.empty() ? "" : ": " + code + ": " + message.substr(0, 200);
    } catch (const tree::ptree_error&) {
        return "";  // no XML: a proxy between
    }
}

}  // namespace

S3Place::S3Place(S3Options options)
    : options_{std::move(options)},
      wire_{
          {options_.url,
           options_.ca_file,
           options_.timeout_ms,
           k_answer_max,
           [this] { return is_cancelled(); }}},
      backoff_{options_.backoff, options_.seed} {}

std::string S3Place::where(const std::string& name) const {
    return "s3://" + options_.bucket + "/" + options_.prefix + name;
}

WireReply S3Place::ask_once(
    const std::string& method,
    const std::string& path,
    View body,
    const Query& query
) {
    const std::string sum = capture::hex_of(capture::hash_of(body));
    const S3Signature signature = sign(
        {method, options_.url.authority(), path, query, sum},
        options_.credentials,
        options_.now_real_ns()
    );
    WireRequest request;
    request.method = method;
    request.target = signature.target;
    request.headers = {
        {"Authorization", signature.authorization},
        {"x-amz-content-sha256", sum},
        {"x-amz-date", signature.date}};
    request.body = body;
    return wire_.exchange(request);
}

WireReply
S3Place::ask(const std::string& method, const std::string& name, View body, const Query& query) {
    require_going_on();
    const std::string path =
        "/" + options_.bucket + (query.empty() ? "/" + options_.prefix + name : "");
    const std::string what = method + " " + where(name);
    backoff_.reset();
    for (unsigned attempt = 1;; ++attempt) {
        std::string reason;
        tenon_status status = TENON_UNAVAILABLE;
        try {
            WireReply reply = ask_once(method, path, body, query);
            if ((reply.status >= 200 && reply.status <= 299) || reply.status == 404) {
                if (reply.status == 404 &&
                    told_by(reply).find("NoSuchBucket") != std::string::npos) {
                    throw Error{TENON_INVALID, "there is no bucket " + options_.bucket};
                }
                return reply;
            }
            reason = "the store answered " + std::to_string(reply.status) + told_by(reply);
            if (!may_pass(reply.status)) {
                const bool is_refused = reply.status == 401 || reply.status == 403;
                throw Error{is_refused ? TENON_DENIED : TENON_UNAVAILABLE, what + ": " + reason};
            }
        } catch (const Error& e) {
            if (is_cancelled() || (e.code() != TENON_UNAVAILABLE && e.code() != TENON_TIMEOUT) ||
                std::string_view{e.what()}.starts_with(what)) {
                throw;
            }
            reason = e.what();
            status = e.code();
        }
        if (attempt >= options_.attempts) {
            throw Error{
                status, what + ": " + reason + " (tried " + std::to_string(attempt) + " times)"};
        }
        ++retries_;
        wire_.wait(backoff_.next());
    }
}

void S3Place::put(const std::string& name, View bytes) {
    require_name(name);
    require_size(name, bytes.size());
    if (ask("PUT", name, bytes, {}).status == 404) {
        throw Error{TENON_UNAVAILABLE, "PUT " + where(name) + ": the store answered 404"};
    }
}

Bytes S3Place::get(const std::string& name) {
    require_name(name);
    WireReply reply = ask("GET", name, {}, {});
    if (reply.status == 404) {
        throw Error{TENON_NOT_FOUND, where(name) + " is missing"};
    }
    return std::move(reply.body);
}

std::vector<Object> S3Place::list(const std::string& prefix) {
    std::vector<Object> all;
    const std::string begin = options_.prefix + prefix;
    Query query{{"list-type", "2"}, {"prefix", begin}};
    for (;;) {
        const WireReply reply = ask("GET", prefix, {}, query);
        try {
            const tree::ptree parsed = parse(reply.body);
            for (const auto& [tag, child] : parsed.get_child("ListBucketResult")) {
                if (tag == "Contents") {
                    const std::string key = child.get<std::string>("Key");
                    if (key.starts_with(begin)) {
                        all.push_back(
                            {key.substr(options_.prefix.size()), child.get<std::uint64_t>("Size")}
                        );
                    }
                }
            }
            if (parsed.get<std::string>("ListBucketResult.IsTruncated", "false") != "true") {
                break;
            }
            query["continuation-token"] =
                parsed.get<std::string>("ListBucketResult.NextContinuationToken");
        } catch (const tree::ptree_error& e) {
            throw Error{
                TENON_UNAVAILABLE, "the store's list of " + where(prefix) + ": " + e.what()};
        }
    }
    std::sort(all.begin(), all.end(), [](const Object& a, const Object& b) {
        return a.name < b.name;
    });
    return all;
}

std::optional<std::uint64_t> S3Place::size(const std::string& name) {
    require_name(name);
    const WireReply reply = ask("HEAD", name, {}, {});
    return reply.status == 404 ? std::nullopt : std::optional{reply.length};
}

void S3Place::remove(const std::string& name) {
    require_name(name);
    (void)ask("DELETE", name, {}, {});
}

}  // namespace tenon::vault
