/* bell - an eventfd that is written only when its owner sleeps.
 *
 * The flag and the heads of the rings form the pattern of two processes that each store one thing
 * and then load the other's. All four accesses are seq_cst (here, in ring.c and in feed.c), so at
 * least one of the two sees the other: no wake-up is lost, and a busy owner costs no system call.
 */
#include "shm/bell.h"

#include "common/log.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { AWAKE, ASLEEP, ASLEEP_DEAF }; /* of the flag on the board */

int bell_create(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void bell_ring_always(const struct bell *b)
{
    if (b->fd < 0)
        return;
    uint64_t one = 1;
    ssize_t n = write(b->fd, &one, sizeof(one));
    /* EAGAIN: the counter is at its limit, so it is readable already. */
    must(n == (ssize_t)sizeof(one) || errno == EAGAIN);
}

void bell_ring(const struct bell *b)
{
    if (atomic_exchange(b->asleep, AWAKE) != AWAKE)
        bell_ring_always(b);
}

void bell_ring_feed(const struct bell *b)
{
    uint32_t listens = ASLEEP;
    if (atomic_compare_exchange_strong(b->asleep, &listens, AWAKE))
        bell_ring_always(b);
}

void bell_sleep(const struct bell *b)
{
    atomic_store(b->asleep, ASLEEP);
}

void bell_sleep_deaf(const struct bell *b)
{
    atomic_store(b->asleep, ASLEEP_DEAF);
}

void bell_awake(const struct bell *b)
{
    atomic_store(b->asleep, AWAKE);
}

void bell_wake(const struct bell *b)
{
    bell_awake(b);
    uint64_t rings;
    ssize_t n = read(b->fd, &rings, sizeof(rings));
    must(n == (ssize_t)sizeof(rings) || errno == EAGAIN);
}
