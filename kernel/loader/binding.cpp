// SPDX-License-Identifier: Apache-2.0
#include "kernel/loader/binding.hpp"

#include "sdk/forward/passage.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>

namespace tenon::loader {

namespace {

// The interface of this id among the offers; each was asked for by the manifest that made the
// cells.
const tenon_iface& of(const Offers& offers, const std::string& id) {
    const auto found = std::find_if(offers.begin(), offers.end(), [&](const auto& offer) {
        return offer.first == id;
    });
    if (found == offers.end()) {
        throw Error{TENON_UNSUPPORTED, "L06 the plugin does not give the interface " + id};
    }
    return found->second;
}

}  // namespace

Binding::Binding(const PluginSlot& slot) : name_{slot.name()}, slot_{&slot} {
    const manifest::PluginManifest& manifest = slot.plan().manifest;
    if (manifest.replaceable) {
        for (const manifest::Provision& provision : manifest.provides) {
            cells_.emplace_back(provision.interface_id);
        }
    }
}

tenon_status Binding::query(std::string_view id, tenon_iface* out) const {
    const forward::Passage passage;  // keeps the slot
    const PluginSlot& slot = *slot_.load(std::memory_order_acquire);
    if (!replaceable()) {
        return slot.query(id, out);
    }
    if (!slot.offered()) {
        return TENON_UNAVAILABLE;
    }
    for (forward::Cell& cell : cells_) {
        if (cell.id() == id) {
            *out = cell.iface();
            return out->vt == nullptr ? TENON_UNAVAILABLE : TENON_OK;
        }
    }
    return TENON_UNSUPPORTED;
}

void Binding::check(const Offers& offers) const {
    for (const forward::Cell& cell : cells_) {
        if (const std::string why = cell.objection(of(offers, cell.id())); !why.empty()) {
            throw Error{TENON_UNSUPPORTED, "L06 " + why};
        }
    }
}

void Binding::point(const PluginSlot& slot, const Offers& offers) {
    for (forward::Cell& cell : cells_) {
        cell.point(of(offers, cell.id()));
    }
    slot_.store(&slot, std::memory_order_release);
}

void Binding::settle() {
    for (forward::Cell& cell : cells_) {
        cell.settle();
    }
}

void Binding::rejoin(const Offers& offers) const {
    for (const forward::Cell& cell : cells_) {
        cell.rejoin(of(offers, cell.id()));
    }
}

}  // namespace tenon::loader
