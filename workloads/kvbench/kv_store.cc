// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "kvbench/kv_store.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "common/prng.h"

namespace etran::wl {

namespace {
constexpr size_t kFirstBuckets = 64;
} // namespace

KvStore::KvStore(size_t max_bytes) : max_bytes_(max_bytes) {
    for (Shard &shard : shards_)
        shard.buckets.resize(kFirstBuckets);
}

KvStore::~KvStore() {
    for (Shard &shard : shards_) {
        for (Item *item : shard.buckets) {
            while (item != nullptr) {
                Item *next = item->next;
                std::free(item);
                item = next;
            }
        }
    }
}

uint64_t KvStore::hash_of(std::string_view key) {
    uint64_t hash = key.size() * 0x9e3779b97f4a7c15ULL;
    uint64_t word = 0;
    const char *at = key.data();
    const char *end = at + key.size();
    for (; end - at >= static_cast<ptrdiff_t>(sizeof(word)); at += sizeof(word)) {
        std::memcpy(&word, at, sizeof(word));
        hash = (hash ^ word) * 0xbf58476d1ce4e5b9ULL;
        hash ^= hash >> 32;
    }
    if (at != end) {
        word = 0;
        std::memcpy(&word, at, static_cast<size_t>(end - at));
        hash ^= word;
    }
    return mix64(hash);
}

KvStore::Item *KvStore::Shard::find(uint64_t hash, std::string_view key) const {
    Item *item = buckets[(hash / kShards) & (buckets.size() - 1)];
    while (item != nullptr && (item->hash != hash || item->key() != key))
        item = item->next;
    return item;
}

// Unlinks and returns the key's item, or nullptr.
KvStore::Item *KvStore::Shard::take(uint64_t hash, std::string_view key) {
    Item **link = slot(hash);
    while (*link != nullptr && ((*link)->hash != hash || (*link)->key() != key))
        link = &(*link)->next;
    Item *item = *link;
    if (item != nullptr) {
        *link = item->next;
        items--;
    }
    return item;
}

void KvStore::Shard::grow() {
    std::vector<Item *> old(buckets.size() * 2);
    old.swap(buckets);
    for (Item *item : old) {
        while (item != nullptr) {
            Item *next = item->next;
            Item **link = slot(item->hash);
            item->next = *link;
            *link = item;
            item = next;
        }
    }
}

bool KvStore::set(std::string_view key, uint32_t flags, std::string_view value) {
    uint64_t hash = hash_of(key);
    Shard &shard = shards_[hash % kShards];
    std::lock_guard<std::mutex> lock(shard.mutex);
    if (Item *same = shard.find(hash, key); same != nullptr && same->value_bytes == value.size()) {
        std::memcpy(same->data() + same->key_bytes, value.data(), value.size());
        same->flags = flags;
        return true;
    }
    size_t size = sizeof(Item) + key.size() + value.size();
    if (bytes_.fetch_add(size, std::memory_order_relaxed) + size > max_bytes_) {
        bytes_.fetch_sub(size, std::memory_order_relaxed);
        return false;
    }
    void *memory = std::malloc(size);
    if (memory == nullptr) {
        bytes_.fetch_sub(size, std::memory_order_relaxed);
        return false;
    }
    if (Item *old = shard.take(hash, key)) {
        bytes_.fetch_sub(old->size(), std::memory_order_relaxed);
        std::free(old);
    }
    Item **link = shard.slot(hash);
    auto *item = new (memory) Item{*link, hash, flags, static_cast<uint32_t>(value.size()),
                                   static_cast<uint32_t>(key.size())};
    std::memcpy(item->data(), key.data(), key.size());
    std::memcpy(item->data() + key.size(), value.data(), value.size());
    *link = item;
    shard.items++;
    if (shard.items > shard.buckets.size())
        shard.grow();
    return true;
}

bool KvStore::erase(std::string_view key) {
    uint64_t hash = hash_of(key);
    Shard &shard = shards_[hash % kShards];
    std::lock_guard<std::mutex> lock(shard.mutex);
    Item *item = shard.take(hash, key);
    if (item == nullptr)
        return false;
    bytes_.fetch_sub(item->size(), std::memory_order_relaxed);
    std::free(item);
    return true;
}

size_t KvStore::items() const {
    size_t sum = 0;
    for (const Shard &shard : shards_) {
        std::lock_guard<std::mutex> lock(shard.mutex);
        sum += shard.items;
    }
    return sum;
}

} // namespace etran::wl
