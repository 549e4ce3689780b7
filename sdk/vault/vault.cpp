// SPDX-License-Identifier: Apache-2.0
#include "sdk/vault/vault.hpp"

#include <algorithm>
#include <deque>
#include <future>
#include <set>
#include <sodium.h>

namespace tenon::vault {
namespace {

const std::string k_backups = "backups/";
const std::string k_proofs = "proofs/";
const std::string k_pieces = "pieces/";

View view_of(std::string_view text) noexcept {
    return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}

std::string_view text_of(const Bytes& bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Vault::Vault(std::shared_ptr<Place> place, Options options)
    : place_{std::move(place)}, options_{std::move(options)} {
    options_.piece_bytes = std::clamp<std::size_t>(options_.piece_bytes, 4096, k_piece_bytes_max);
}

std::string Vault::sum_of(View content) const {
    if (!options_.key) {
        return capture::hex_of(capture::hash_of(content));
    }
    // Keyed, so that who sees the names cannot tell what is in them.
    const auto key = options_.key->derived("piece");
    capture::Hash sum{};
    (void)crypto_generichash(
        sum.data(), sum.size(), content.data(), content.size(), key.data(), key.size()
    );
    return capture::hex_of(sum);
}

Ref Vault::keep_at(View content, int level, bool anew) {
    Ref piece{sum_of(content), static_cast<std::uint32_t>(content.size())};
    const std::string name = k_pieces + piece.sum;
    if (anew || place_->size(name).value_or(0) < k_piece_head_bytes) {
        place_->put(name, seal_piece(name, content, level, key()));
    }
    return piece;
}

Ref Vault::keep(View content, bool anew) {
    return keep_at(content, options_.level, anew);
}

Ref Vault::keep_packed(View content, bool anew) {
    return keep_at(content, 0, anew);
}

std::string Vault::told(const Ref& piece, const std::string& what) const {
    return what + " (" + place_->where(k_pieces + piece.sum) + ")";
}

Bytes Vault::read(const Ref& piece, const std::string& what) {
    try {
        return place_->get(k_pieces + piece.sum);
    } catch (const Error& e) {
        if (e.code() == TENON_NOT_FOUND) {
            throw Error{TENON_CORRUPT, told(piece, what) + " is missing"};
        }
        throw;
    }
}

// [any]
Bytes Vault::open(const Ref& piece, const Bytes& stored, const std::string& what) const {
    const std::string who = told(piece, what);
    Bytes content = open_piece(k_pieces + piece.sum, stored, key(), who);
    if (content.size() != piece.bytes || sum_of(content) != piece.sum) {
        throw Error{TENON_CORRUPT, who + " is damaged: it is another piece"};
    }
    return content;
}

File Vault::keep_file(
    const std::string& name,
    const Source& source,
    bool is_packed,
    bool anew,
    const std::function<void(std::uint64_t)>& going_on
) {
    File file{name, 0, {}};
    Bytes block(options_.piece_bytes);
    for (;;) {
        std::size_t got = 0;
        while (got < block.size()) {
            const std::size_t more = source(std::span{block}.subspan(got));
            if (more == 0) {
                break;
            }
            got += more;
        }
        if (got == 0) {
            return file;
        }
        file.pieces.push_back(keep_at(View{block}.first(got), is_packed ? 0 : options_.level, anew)
        );
        file.bytes += got;
        if (going_on) {
            going_on(file.bytes);
        }
    }
}

void Vault::fetch_file(const File& file, const Sink& sink) {
    // The place is read by one thread. Checking and unpacking takes longer: two do it, ahead of the
    // sink.
    constexpr std::size_t k_opened_ahead = 2;
    std::deque<std::future<Bytes>> opened;
    std::uint64_t done = 0;
    for (std::size_t next = 0; next < file.pieces.size() || !opened.empty();) {
        if (next < file.pieces.size() && opened.size() < k_opened_ahead) {
            const Ref& piece = file.pieces[next++];
            const std::string what = "piece " + std::to_string(next) + " of " +
                                     std::to_string(file.pieces.size()) + " of " + file.name;
            opened.push_back(std::async(
                std::launch::async,
                [this, &piece, what, stored = read(piece, what)] {
                    return open(piece, stored, what);
                }
            ));
            continue;
        }
        const Bytes content = opened.front().get();
        opened.pop_front();
        done += content.size();
        sink(content);
    }
    if (done != file.bytes) {
        throw Error{
            TENON_CORRUPT,
            file.name + " has " + std::to_string(done) + " bytes, its manifest says " +
                std::to_string(file.bytes)};
    }
}

void Vault::keep_named(const std::string& name, View content) {
    place_->put(name, seal_piece(name, content, options_.level, key()));
}

Bytes Vault::fetch_named(const std::string& name) {
    return open_piece(name, place_->get(name), key(), place_->where(name));
}

void Vault::publish(const Manifest& manifest) {
    const std::string name = k_backups + manifest.id;
    if (!is_id(manifest.id)) {
        throw Error{TENON_INVALID, "\"" + manifest.id + "\" is no id of a backup"};
    }
    if (place_->size(name)) {
        throw Error{TENON_CONFLICT, "there is a backup " + manifest.id + " already"};
    }
    place_->put(name, view_of(encode(manifest, key())));
}

std::vector<Manifest> Vault::list(std::vector<std::string>* damaged) {
    std::vector<Manifest> all;
    for (const Object& object : place_->list(k_backups)) {
        try {
            all.push_back(manifest(object.name.substr(k_backups.size())));
        } catch (const Error& e) {
            if (e.code() != TENON_CORRUPT && e.code() != TENON_DENIED &&
                e.code() != TENON_UNSUPPORTED && e.code() != TENON_NOT_FOUND) {
                throw;
            }
            if (damaged != nullptr) {
                damaged->push_back(e.what());
            }
        }
    }
    std::sort(all.begin(), all.end(), [](const Manifest& a, const Manifest& b) {
        return a.started_ns < b.started_ns;
    });
    return all;
}

Manifest Vault::manifest(std::string_view id) {
    if (!is_id(id)) {
        throw Error{TENON_INVALID, "\"" + std::string{id} + "\" is no id of a backup"};
    }
    const std::string name = k_backups + std::string{id};
    Bytes text;
    try {
        text = place_->get(name);
    } catch (const Error& e) {
        if (e.code() == TENON_NOT_FOUND) {
            throw Error{TENON_NOT_FOUND, "there is no backup " + std::string{id}};
        }
        throw;
    }
    Manifest found = decode_manifest(text_of(text), key(), place_->where(name));
    if (found.id != id) {
        throw Error{TENON_CORRUPT, place_->where(name) + " is the manifest of " + found.id};
    }
    return found;
}

Proof Vault::proof(const std::string& id) {
    const std::string name = k_proofs + id;
    try {
        return decode_proof(text_of(place_->get(name)), key(), place_->where(name));
    } catch (const Error& e) {
        if (e.code() == TENON_NOT_FOUND || e.code() == TENON_CORRUPT || e.code() == TENON_DENIED) {
            return {};
        }
        throw;
    }
}

void Vault::set_proof(const std::string& id, const Proof& proof) {
    place_->put(k_proofs + id, view_of(encode(proof, key())));
}

void Vault::check(const Manifest& manifest, const Say& say) {
    std::uint64_t done = 0;
    const std::uint64_t total = manifest.bytes();
    for (const File& file : manifest.files) {
        try {
            fetch_file(file, [&](View content) {
                place_->require_going_on();
                done += content.size();
                say("verify", done, total);
            });
        } catch (const Error& e) {
            if (e.code() != TENON_CORRUPT) {
                throw;
            }
            throw Error{TENON_CORRUPT, "the backup " + manifest.id + ": " + e.what()};
        }
    }
}

std::vector<std::string> Vault::prune(const Retention& policy, bool dry_run) {
    std::vector<Generation> generations;
    for (const Manifest& one : list()) {
        generations.push_back({one.id, one.to_ns, proof(one.id).is_proven()});
    }
    std::vector<std::string> gone = given_up(generations, policy);
    if (dry_run) {
        return gone;
    }
    for (const std::string& id : gone) {
        place_->remove(k_backups + id);
        place_->remove(k_proofs + id);
    }
    std::vector<std::string> damaged;
    std::set<std::string> needed;
    std::set<std::string> ids;
    for (const Manifest& one : list(&damaged)) {
        ids.insert(k_proofs + one.id);
        for (const File& file : one.files) {
            for (const Ref& piece : file.pieces) {
                needed.insert(k_pieces + piece.sum);
            }
        }
    }
    if (damaged.empty()) {
        for (const auto& [prefix, stays] : {std::pair{&k_pieces, &needed}, {&k_proofs, &ids}}) {
            for (const Object& object : place_->list(*prefix)) {
                if (stays->count(object.name) == 0) {
                    place_->remove(object.name);
                }
            }
        }
    }
    place_->sweep();
    return gone;
}

}  // namespace tenon::vault
