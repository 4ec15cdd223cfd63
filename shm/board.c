/* board - making, mapping and judging the notice board; store time; session keys; heartbeats.
 *
 * The board is plain memory with one writer per field; what is here is only what needs more than a
 * load or a store. A layout number made of the sizes and offsets of everything that lies in shared
 * memory keeps differently built programs from reading each other's bytes.
 */
#include "shm/board.h"

#include "common/clock.h"
#include "shm/command.h"
#include "shm/feed.h"
#include "shm/heritage.h"
#include "shm/message.h"
#include "shm/racy.h"
#include "shm/region.h"
#include "shm/ring.h"

#include <errno.h>
#include <unistd.h>

#define BOARD_MAGIC UINT64_C(0x6472616f62747372) /* "rstboard" */

/* racy_copy reads whole aligned words. */
_Static_assert(sizeof(struct session_keys) % 8 == 0, "session keys are whole words");
_Static_assert(offsetof(struct board, keys) % 8 == 0, "session keys are aligned");
_Static_assert(sizeof(struct ticket_keys) % 8 == 0, "ticket keys are whole words");
_Static_assert(offsetof(struct board, tickets) % 8 == 0, "ticket keys are aligned");

/* FNV-1a over the numbers: any of them changed makes another layout. */
uint64_t board_layout(void)
{
    static const uint64_t numbers[] = {
        BOARD_FORMAT,
        BOARD_WORKERS,
        METRIC_COUNT,
        CODE_COUNT,
        COMMAND_TYPES,
        HERITAGE_LISTENS,
        RING_HEADER,
        sizeof(struct board),
        offsetof(struct board, clock_offset_ms),
        offsetof(struct board, last_seq),
        offsetof(struct board, writer_ready),
        offsetof(struct board, draining),
        offsetof(struct board, rotate_wanted),
        offsetof(struct board, keys_current),
        offsetof(struct board, note),
        offsetof(struct board, seat),
        sizeof(struct board_seat),
        offsetof(struct board_seat, started_ms),
        offsetof(struct board_seat, beat_ms),
        offsetof(struct board_seat, asleep),
        offsetof(struct board_seat, panic),
        offsetof(struct board_seat, metrics),
        sizeof(struct board_note),
        offsetof(struct board_note, reply_head),
        sizeof(struct session_keys),
        offsetof(struct board, tickets_current),
        sizeof(struct ticket_keys),
        sizeof(struct metric_block),
        sizeof(struct ring_control),
        offsetof(struct ring_control, tail),
        sizeof(struct feed_control_block),
        offsetof(struct feed_control_block, published),
        sizeof(struct feed_record),
        offsetof(struct feed_record, seq),
        sizeof(struct feed_target),
        sizeof(struct command_header),
        sizeof(struct completion_header),
        sizeof(struct heritage),
        offsetof(struct heritage, bell_fd),
        offsetof(struct heritage, config_path),
    };
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        for (unsigned bit = 0; bit < 64; bit += 8)
            hash = (hash ^ (numbers[i] >> bit & 0xff)) * UINT64_C(0x100000001b3);
    return hash;
}

int board_create(uint32_t slots, struct board **ret)
{
    if (slots == 0 || slots > BOARD_SLOTS)
        return -EINVAL;
    int fd = region_create("restante-board", sizeof(struct board));
    if (fd < 0)
        return fd;
    void *map;
    int err = region_map(fd, sizeof(struct board), true, &map);
    if (err) {
        close(fd);
        return err;
    }
    struct board *b = map; /* all zero: every other field is as it should be */
    b->magic = BOARD_MAGIC;
    b->layout = board_layout();
    b->slots = slots;
    do
        b->ring_set = ids_random_u64();
    while (b->ring_set == 0);
    *ret = b;
    return fd;
}

int board_map(int fd, struct board **ret)
{
    void *map;
    int err = region_map(fd, sizeof(struct board), true, &map);
    if (err)
        return err;
    struct board *b = map;
    if (b->magic != BOARD_MAGIC || b->layout != board_layout() || b->slots == 0 ||
        b->slots > BOARD_SLOTS) {
        board_unmap(b);
        return -EPROTO;
    }
    *ret = b;
    return 0;
}

void board_unmap(struct board *b)
{
    region_unmap(b, sizeof(*b));
}

uint64_t board_now_ms(const struct board *b)
{
    int64_t offset = atomic_load_explicit(&b->clock_offset_ms, memory_order_acquire);
    return clock_boot_ms() + (uint64_t)offset;
}

/* The copy that is not current is filled, then made current. A supervisor killed in between leaves
 * the old keys in force. copies: two of n bytes. */
static void twin_set(_Atomic uint64_t *current, void *copies, const void *from, size_t n)
{
    uint64_t next = atomic_load_explicit(current, memory_order_relaxed) + 1;
    racy_fence(); /* the store that made the other copy current comes before what is written here */
    memcpy((char *)copies + (next & 1) * n, from, n);
    atomic_store(current, next);
}

/* Ends: a second round means that the supervisor set new keys meanwhile. n: at most that of ret,
 * a multiple of 8. */
static void twin_get(const _Atomic uint64_t *current, const void *copies, void *ret, size_t n)
{
    uint64_t now = atomic_load(current), before;
    do {
        before = now;
        racy_copy(ret, (const char *)copies + (before & 1) * n, n);
        racy_fence();
        now = atomic_load(current);
    } while (now != before);
}

void board_keys_set(struct board *b, const struct session_keys *keys)
{
    twin_set(&b->keys_current, b->keys, keys, sizeof(*keys));
}

void board_keys_get(const struct board *b, struct session_keys *ret)
{
    twin_get(&b->keys_current, b->keys, ret, sizeof(*ret));
}

void board_tickets_set(struct board *b, const struct ticket_keys *keys)
{
    twin_set(&b->tickets_current, b->tickets, keys, sizeof(*keys));
}

void board_tickets_get(const struct board *b, struct ticket_keys *ret)
{
    twin_get(&b->tickets_current, b->tickets, ret, sizeof(*ret));
}

bool board_store_full(uint64_t used, uint64_t limit)
{
    return used >= limit - limit / 100 * STORE_RESERVE_PERCENT;
}

void seat_beat(struct board_seat *s)
{
    atomic_store_explicit(&s->beat_ms, clock_boot_ms(), memory_order_relaxed);
}

void seat_txn_begin(struct board_seat *s)
{
    atomic_store_explicit(&s->txn_since_ms, clock_boot_ms(), memory_order_relaxed);
}

void seat_txn_end(struct board_seat *s)
{
    atomic_store_explicit(&s->txn_since_ms, 0, memory_order_relaxed);
}
