/* racy - read shared memory that its writer may be rewriting at the same time.
 *
 * The pattern of a sequence lock: the writer announces (an atomic store), racy_fence(), writes the
 * bytes; the reader copies the bytes with racy_copy(), racy_fence(), looks at the announcement
 * again and throws the copy away if it moved. Nothing may be decided from the copy before that. Any
 * process.
 */
#ifndef SHM_RACY_H
#define SHM_RACY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Everything before it, in program order, is seen before everything after it. gcc's thread
 * sanitizer has no fences; there the compiler is held back only, which is enough on x86 after the
 * seq_cst store that precedes each of ours. */
static inline void racy_fence(void)
{
#ifdef __SANITIZE_THREAD__
    atomic_signal_fence(memory_order_seq_cst);
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

/* Copies n bytes, rounded up to whole 8-byte words; from is 8-aligned. Each word is read exactly
 * once. The race is the point, so the sanitizer does not look. */
__attribute__((no_sanitize("thread"))) static inline void racy_copy(void *to, const void *from,
                                                                    size_t n)
{
    const volatile uint64_t *word = from;
    unsigned char *out = to;
    for (size_t i = 0; i < (n + 7) / 8; i++) {
        uint64_t w = word[i];
        __builtin_memcpy(out + 8 * i, &w, sizeof(w));
    }
}

#endif
