// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// A table of objects named by tags that never come back: a tag of an erased object finds nothing,
// even if its slot is in use again. For connections, whose events may be reported after their end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace etran::wl {

// Tags stay below EventLoop::kMaxTag (until a slot has been used 2^32 - 1 times).
template <typename T> class SlotTable {
  public:
    uint64_t insert(std::unique_ptr<T> object) {
        uint32_t index = 0;
        if (free_.empty()) {
            index = static_cast<uint32_t>(slots_.size());
            slots_.emplace_back();
        } else {
            index = free_.back();
            free_.pop_back();
        }
        slots_[index].object = std::move(object);
        return static_cast<uint64_t>(slots_[index].generation) << 32 | index;
    }

    // nullptr if there is none (any more).
    T *find(uint64_t tag) const {
        auto index = static_cast<uint32_t>(tag);
        if (index >= slots_.size() || slots_[index].generation != tag >> 32)
            return nullptr;
        return slots_[index].object.get();
    }

    void erase(uint64_t tag) {
        if (find(tag) == nullptr)
            return;
        auto index = static_cast<uint32_t>(tag);
        slots_[index].object.reset();
        slots_[index].generation++;
        free_.push_back(index);
    }

    // Calls visit(T &) for each object; it must neither insert nor erase.
    template <typename Visit> void for_each(Visit &&visit) const {
        for (const Slot &slot : slots_) {
            if (slot.object)
                visit(*slot.object);
        }
    }

    size_t size() const { return slots_.size() - free_.size(); }

  private:
    struct Slot {
        std::unique_ptr<T> object;
        uint32_t generation = 0;
    };
    std::vector<Slot> slots_;
    std::vector<uint32_t> free_;
};

} // namespace etran::wl
