/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Only for thread-sanitizer builds: VMs of one process normally map the shared file at different
 * addresses, where the sanitizer cannot see that they meet. This gives all of them the same mapping
 * (linked with --wrap=mmap,--wrap=munmap).
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstddef>
#include <map>
#include <mutex>

extern "C" {
void *__real_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off);
int __real_munmap(void *addr, size_t len);
void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off);
int __wrap_munmap(void *addr, size_t len);
}

namespace {

struct Mapping {
    void *at;
    int users;
};

std::mutex lock;
std::map<ino_t, Mapping> mappings;

} // namespace

void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off) {
    std::lock_guard<std::mutex> guard(lock);
    struct stat st;
    if (!(flags & MAP_SHARED) || fstat(fd, &st))
        return __real_mmap(addr, len, prot, flags, fd, off);
    Mapping &m = mappings[st.st_ino];
    if (!m.users++)
        m.at = __real_mmap(addr, len, prot, flags, fd, off);
    return m.at;
}

int __wrap_munmap(void *addr, size_t len) {
    std::lock_guard<std::mutex> guard(lock);
    for (auto it = mappings.begin(); it != mappings.end(); ++it) {
        if (it->second.at != addr)
            continue;
        if (--it->second.users)
            return 0;
        mappings.erase(it);
        break;
    }
    return __real_munmap(addr, len);
}
