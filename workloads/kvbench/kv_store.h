// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// The in-memory store behind kvbench's server: a chained hash table in shards, each with a lock
// that is not contended with one thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace etran::wl {

// Thread-safe.
class KvStore {
  public:
    // Refuses values once keys, values and bookkeeping together exceed `max_bytes`.
    explicit KvStore(size_t max_bytes);
    ~KvStore();
    KvStore(const KvStore &) = delete;
    KvStore &operator=(const KvStore &) = delete;

    // Replaces or inserts. False if there is no room (then an old value of the key is kept).
    bool set(std::string_view key, uint32_t flags, std::string_view value);

    bool erase(std::string_view key);

    // Calls visit(flags, value) under the shard's lock if the key is there.
    template <typename Visit> bool get(std::string_view key, Visit &&visit) const {
        uint64_t hash = hash_of(key);
        const Shard &shard = shards_[hash % kShards];
        std::lock_guard<std::mutex> lock(shard.mutex);
        const Item *item = shard.find(hash, key);
        if (item == nullptr)
            return false;
        visit(item->flags, item->value());
        return true;
    }

    size_t items() const;
    size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

    static uint64_t hash_of(std::string_view key);

  private:
    static constexpr size_t kShards = 16;

    // Key and value follow in the same allocation.
    struct Item {
        Item *next;
        uint64_t hash;
        uint32_t flags;
        uint32_t value_bytes;
        uint32_t key_bytes;

        char *data() { return reinterpret_cast<char *>(this + 1); }
        const char *data() const { return reinterpret_cast<const char *>(this + 1); }
        std::string_view key() const { return {data(), key_bytes}; }
        std::string_view value() const { return {data() + key_bytes, value_bytes}; }
        size_t size() const { return sizeof(Item) + key_bytes + value_bytes; }
    };

    struct Shard {
        mutable std::mutex mutex;
        std::vector<Item *> buckets; // power of two
        size_t items = 0;

        Item **slot(uint64_t hash) { return &buckets[(hash / kShards) & (buckets.size() - 1)]; }
        Item *find(uint64_t hash, std::string_view key) const;
        Item *take(uint64_t hash, std::string_view key);
        void grow();
    };

    size_t max_bytes_;
    std::atomic<size_t> bytes_{0};
    std::array<Shard, kShards> shards_;
};

} // namespace etran::wl
