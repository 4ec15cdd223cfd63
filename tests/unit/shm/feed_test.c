/* feed_test - what a reader accepts is whole and in order, however far the writer runs ahead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/feed.h"
#include "tests/unit/failmalloc.h"

#define SIZE 4096u

struct fixture {
    int fd;
    struct feed writer, reader;
    struct buf body;
};

static void open_feed(struct fixture *x, uint64_t size)
{
    x->fd = feed_create(size);
    assert_true(x->fd >= 0);
    assert_int_equal(feed_map(x->fd, size, true, &x->writer), 0);
    int ro = feed_read_only(x->fd);
    assert_true(ro >= 0);
    assert_int_equal(feed_map(ro, size, false, &x->reader), 0);
    close(ro);
    buf_init(&x->body, size / 4);
}

static void close_feed(struct fixture *x)
{
    buf_free(&x->body);
    feed_unmap(&x->writer);
    feed_unmap(&x->reader);
    close(x->fd);
}

static int setup(void **state)
{
    struct fixture *x = calloc(1, sizeof(*x));
    assert_non_null(x);
    open_feed(x, SIZE);
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    close_feed(*state);
    free(*state);
    return 0;
}

static uint64_t reserved(const struct feed *f)
{
    return atomic_load(&f->control->reserved);
}

/* Bytes that follow from seq and position, so that a torn body shows. */
static void fill(unsigned char *p, size_t len, uint64_t seq)
{
    for (size_t i = 0; i < len; i++)
        p[i] = (unsigned char)(seq * 131 + i * (seq | 1));
}

static bool intact(const struct buf *b, uint64_t seq)
{
    for (size_t i = 0; i < b->len; i++)
        if (b->data[i] != (unsigned char)(seq * 131 + i * (seq | 1)))
            return false;
    return true;
}

static uint64_t add(const struct feed *f, uint64_t head, enum feed_type type, uint64_t seq,
                    size_t len)
{
    void *at = NULL;
    assert_int_equal(feed_prepare(f, &head, type, seq, len, &at), 0);
    fill(at, len, seq);
    return head;
}

static void commit(const struct feed *f, uint64_t head, uint64_t seq)
{
    feed_publish(f, add(f, head, FEED_COMMIT, seq, 0));
}

static void publish_one(const struct feed *f, uint64_t seq, size_t len)
{
    commit(f, add(f, feed_published(f), FEED_MESSAGE, seq, len), seq);
}

static void expect(struct fixture *x, struct feed_reader *r, enum feed_type type, uint64_t seq,
                   size_t len)
{
    struct feed_record rec;
    assert_int_equal(feed_next(&x->reader, r, &rec, &x->body), 1);
    assert_int_equal(rec.type, type);
    assert_int_equal(rec.seq, seq);
    assert_int_equal(rec.len, len);
    assert_int_equal(x->body.len, len);
    assert_true(intact(&x->body, seq));
}

static void expect_code(struct fixture *x, struct feed_reader *r, int code)
{
    struct feed_record rec = {.type = 77};
    assert_int_equal(feed_next(&x->reader, r, &rec, &x->body), code);
    assert_int_equal(rec.type, 77);
}

static void test_a_new_feed_has_no_start(void **state)
{
    struct fixture *x = *state;
    struct feed_reader r = {.pos = 7, .seq = 8};
    assert_int_equal(feed_start(&x->reader, &r), -EAGAIN);
    assert_int_equal(r.pos, 7);
    add(&x->writer, 0, FEED_COMMIT, 41, 0); /* prepared is not published */
    assert_int_equal(feed_start(&x->reader, &r), -EAGAIN);
    commit(&x->writer, 0, 41);
    assert_int_equal(feed_start(&x->reader, &r), 0);
    assert_int_equal(r.pos, 16);
    assert_int_equal(r.seq, 41);
    expect_code(x, &r, 0);
}

static void test_records_come_out_in_order(void **state)
{
    struct fixture *x = *state;
    struct feed_reader r = {0};
    uint64_t head = add(&x->writer, 0, FEED_MESSAGE, 5, 100);
    head = add(&x->writer, head, FEED_CONTROL, 0, 25);
    head = add(&x->writer, head, FEED_MESSAGE, 0, 1); /* an ephemeral has no seq */
    head = add(&x->writer, head, FEED_MESSAGE, 6, 16);
    expect_code(x, &r, 0);
    commit(&x->writer, head, 9);

    expect(x, &r, FEED_MESSAGE, 5, 100);
    assert_int_equal(r.seq, 5);
    expect(x, &r, FEED_CONTROL, 0, 25);
    expect(x, &r, FEED_MESSAGE, 0, 1);
    assert_int_equal(r.seq, 5);
    expect(x, &r, FEED_MESSAGE, 6, 16);
    assert_int_equal(r.seq, 6);
    expect(x, &r, FEED_COMMIT, 9, 0);
    assert_int_equal(r.seq, 9);
    expect_code(x, &r, 0);
    assert_int_equal(r.pos, feed_published(&x->reader));
}

static void test_a_dropped_batch_is_never_seen_and_reserved_stays(void **state)
{
    struct fixture *x = *state;
    struct feed_reader r = {0};
    uint64_t head = add(&x->writer, 0, FEED_MESSAGE, 5, 400);
    head = add(&x->writer, head, FEED_MESSAGE, 6, 400);
    uint64_t high = reserved(&x->writer);
    assert_int_equal(high, head);

    publish_one(&x->writer, 7, 40); /* the next batch begins where the dropped one began */
    assert_int_equal(reserved(&x->writer), high);
    expect(x, &r, FEED_MESSAGE, 7, 40);
    expect(x, &r, FEED_COMMIT, 7, 0);
    expect_code(x, &r, 0);

    while (feed_published(&x->writer) < high)
        publish_one(&x->writer, 8, 200);
    assert_int_equal(reserved(&x->writer), feed_published(&x->writer));
}

static void test_published_never_moves_back(void **state)
{
    struct fixture *x = *state;
    publish_one(&x->writer, 1, 100);
    uint64_t head = feed_published(&x->writer);
    feed_publish(&x->writer, 16);
    assert_int_equal(feed_published(&x->writer), head);
    static const uint64_t never[] = {UINT64_MAX, UINT64_MAX - 15, 1u << 20, 16};
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) { /* past what was prepared */
        feed_publish(&x->writer, head + never[i]);
        assert_int_equal(feed_published(&x->writer), head);
    }
    add(&x->writer, head, FEED_MESSAGE, 2, 100);
    feed_publish(&x->writer, head + 8);
    assert_int_equal(feed_published(&x->writer), head);
}

static void test_a_batch_is_at_most_a_quarter(void **state)
{
    struct fixture *x = *state;
    uint64_t head = 0;
    void *at = &at;
    assert_int_equal(feed_prepare(&x->writer, &head, FEED_MESSAGE, 1, SIZE / 4 - 15, &at),
                     -EMSGSIZE);
    assert_int_equal(feed_prepare(&x->writer, &head, FEED_MESSAGE, 1, SIZE_MAX, &at), -EMSGSIZE);
    assert_int_equal(head, 0);
    assert_int_equal(reserved(&x->writer), 0);
    assert_ptr_equal(at, &at);

    head = add(&x->writer, 0, FEED_MESSAGE, 1, SIZE / 4 - 16);
    assert_int_equal(feed_prepare(&x->writer, &head, FEED_MESSAGE, 2, 1, &at), -EMSGSIZE);
    assert_int_equal(head, SIZE / 4);
    feed_publish(&x->writer, add(&x->writer, feed_published(&x->writer), FEED_LAP, 2, 0));
    struct feed_reader r = {0};
    expect(x, &r, FEED_LAP, 2, 0);
    assert_int_equal(r.seq, 2);

    head = add(&x->writer, feed_published(&x->writer), FEED_MESSAGE, 3, SIZE / 4 - 16);
    commit(&x->writer, head, 3); /* a full batch still has its end */
    expect(x, &r, FEED_MESSAGE, 3, SIZE / 4 - 16);
    expect(x, &r, FEED_COMMIT, 3, 0);
}

/* Rule of the head: whatever the sizes, 16 bytes before it lies the record that has the seq. */
static void test_the_head_always_follows_a_commit(void **state)
{
    struct fixture *x = *state;
    unsigned seed = 3;
    struct feed_reader r = {0}, fresh;
    unsigned pads = 0;
    for (uint64_t seq = 1; seq < 20000; seq++) {
        uint64_t before = feed_published(&x->writer);
        size_t len = (size_t)rand_r(&seed) % 400;
        publish_one(&x->writer, seq, len);
        pads += feed_published(&x->writer) - before > 32 + ((len + 15) & ~15u);
        assert_int_equal(feed_start(&x->reader, &fresh), 0);
        assert_int_equal(fresh.seq, seq);
        assert_int_equal(fresh.pos, feed_published(&x->writer));
        expect(x, &r, FEED_MESSAGE, seq, len);
        expect(x, &r, FEED_COMMIT, seq, 0);
        assert_int_equal(r.pos, fresh.pos);
    }
    assert_true(pads > 100);
}

static void test_a_lapped_reader_goes_to_the_head(void **state)
{
    struct fixture *x = *state;
    struct feed_reader r = {0}, fresh;
    uint64_t seq = 0;
    while (reserved(&x->writer) + 16 + 208 <= SIZE)
        publish_one(&x->writer, ++seq, 192);
    expect(x, &r, FEED_MESSAGE, 1, 192); /* a full feed behind, but not lapped */

    r = (struct feed_reader){0};
    while (reserved(&x->writer) <= SIZE)
        publish_one(&x->writer, ++seq, 192);
    expect_code(x, &r, -EOVERFLOW);
    assert_int_equal(feed_start(&x->reader, &fresh), 0);
    assert_int_equal(r.pos, fresh.pos);
    assert_int_equal(r.seq, seq);
    expect_code(x, &r, 0);
    publish_one(&x->writer, ++seq, 10);
    expect(x, &r, FEED_MESSAGE, seq, 10);
}

/* Bytes are lost when the writer prepares over them, long before it publishes. */
static void test_reserved_alone_laps(void **state)
{
    struct fixture *x = *state;
    uint64_t seq = 0;
    while (SIZE - reserved(&x->writer) >= 224)
        publish_one(&x->writer, ++seq, 192);
    struct feed_reader r = {0};
    add(&x->writer, feed_published(&x->writer), FEED_MESSAGE, seq + 1, 400);
    assert_true(reserved(&x->writer) > SIZE && feed_published(&x->writer) <= SIZE);
    expect_code(x, &r, -EOVERFLOW);
    assert_int_equal(r.seq, seq);
}

static void test_what_makes_no_sense_counts_as_lapped(void **state)
{
    struct fixture *x = *state;
    publish_one(&x->writer, 1, 100); /* header at 0, body to 128, commit at 128 */
    publish_one(&x->writer, 2, 100);
    struct feed_record *rec = (struct feed_record *)(void *)x->writer.data;
    const struct feed_record good = *rec;
    const struct feed_record bad[] = {
        {.len = UINT32_MAX, .type = FEED_MESSAGE},
        {.len = SIZE, .type = FEED_MESSAGE},
        {.len = 300, .type = FEED_MESSAGE},
        {.len = 300, .type = FEED_PAD},
        {.len = 100, .type = 0},
        {.len = 100, .type = FEED_LAP + 1},
        {.len = 100, .type = UINT16_MAX},
        {.len = 16, .type = FEED_COMMIT},
        {.len = 16, .type = FEED_LAP},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        *rec = bad[i];
        struct feed_reader r = {0};
        expect_code(x, &r, -EOVERFLOW);
        assert_int_equal(r.seq, 2);
    }
    *rec = good;
    add(&x->writer, add(&x->writer, feed_published(&x->writer), FEED_MESSAGE, 3, 0), FEED_MESSAGE,
        4, 0); /* whole, but not published */
    for (uint64_t by = 16; by <= 48; by += 16) {
        struct feed_reader ahead = {.pos = feed_published(&x->reader) + by};
        expect_code(x, &ahead, -EOVERFLOW);
        assert_int_equal(ahead.pos, feed_published(&x->reader));
    }
}

/* Not even the head can be read: the reader stays where it is, and does not spin for ever. */
static void test_no_seq_at_the_head(void **state)
{
    struct fixture *x = *state;
    publish_one(&x->writer, 1, 100);
    memset(x->writer.data, 0xff, SIZE);
    struct feed_reader r = {0};
    expect_code(x, &r, 0);
    assert_int_equal(r.pos, 0);
    assert_int_equal(feed_start(&x->reader, &r), -EAGAIN);
}

static void test_a_body_over_its_buffer_keeps_the_reader(void **state)
{
    struct fixture *x = *state;
    publish_one(&x->writer, 1, 100);
    struct buf small;
    buf_init(&small, 64);
    struct feed_reader r = {0};
    struct feed_record rec;
    assert_int_equal(feed_next(&x->reader, &r, &rec, &small), -EMSGSIZE);
    assert_int_equal(r.pos, 0);
    buf_free(&small);
    expect(x, &r, FEED_MESSAGE, 1, 100);
}

static void test_no_memory_keeps_the_reader(void **state)
{
    struct fixture *x = *state;
    publish_one(&x->writer, 1, 100);
    struct feed_reader r = {0};
    failmalloc_arm(1);
    expect_code(x, &r, -ENOMEM);
    assert_true(failmalloc_disarm());
    assert_int_equal(r.pos, 0);
    expect(x, &r, FEED_MESSAGE, 1, 100);
}

static void test_maps_are_judged(void **state)
{
    struct fixture *x = *state;
    struct feed f = {0};
    assert_int_equal(feed_map(x->fd, 2 * SIZE, true, &f), -EPROTO);
    assert_int_equal(feed_map(-1, SIZE, true, &f), -EBADF);
    assert_null(f.control);
    x->writer.control->size = 512; /* says something else than the file */
    assert_int_equal(feed_map(x->fd, SIZE, true, &f), -EPROTO);
    x->writer.control->size = SIZE;
    int ro = feed_read_only(x->fd);
    assert_int_equal(feed_map(ro, SIZE, true, &f), -EACCES); /* not even by a worker that tries */
    assert_true(mprotect(x->reader.control, SIZE, PROT_READ | PROT_WRITE) < 0);
    close(ro);
    assert_int_equal(feed_read_only(-1), -ENOENT);
    assert_int_equal(ftruncate(x->fd, 16), -1);
    int tiny = feed_create(1);
    assert_int_equal(feed_map(tiny, 256, true, &f), 0);
    assert_int_equal(f.size, 256);
    feed_unmap(&f);
    feed_unmap(&f); /* nothing left to do */
    close(tiny);
}

/* --- overwritten during one read: the reader's page faults, and meanwhile the writer works --- */

#define LARGE 65536u
#define BATCH 64u /* bytes: a message of 32, its header, a commit */

static struct {
    struct fixture *x;
    char *page;
    size_t page_size;
    uint64_t seq; /* the last one published */
    uint64_t until;
} fault;

static void on_fault(int sig)
{
    (void)sig;
    if (mprotect(fault.page, fault.page_size, PROT_READ) < 0)
        _exit(2);
    const struct feed *f = &fault.x->writer;
    while (feed_published(f) < fault.until)
        publish_one(f, ++fault.seq, BATCH - 32);
}

/* The next read of the reader's byte at offset lets the writer publish up to `until` first. */
static void arm(struct fixture *x, uint64_t offset, uint64_t until)
{
    fault.x = x;
    fault.page_size = (size_t)sysconf(_SC_PAGESIZE);
    fault.until = until;
    uintptr_t at = (uintptr_t)(x->reader.data + offset);
    fault.page = (char *)(at - at % fault.page_size);
    struct sigaction sa = {.sa_handler = on_fault};
    assert_int_equal(sigaction(SIGSEGV, &sa, NULL), 0);
    assert_int_equal(mprotect(fault.page, fault.page_size, PROT_NONE), 0);
}

static void disarm(void)
{
    signal(SIGSEGV, SIG_DFL);
}

static void test_lapped_while_copying(void **state)
{
    struct fixture *x = *state;
    close_feed(x);
    open_feed(x, LARGE);
    publish_one(&x->writer, 1, 8192 - 32);
    fault.seq = 1;
    struct feed_reader r = {0};
    arm(x, 4096 + 16, 2 * LARGE); /* the middle of the body */
    expect_code(x, &r, -EOVERFLOW);
    disarm();
    assert_true(fault.seq > 1000);
    assert_int_equal(r.seq, fault.seq);
    assert_int_equal(r.pos, 2 * LARGE);
}

/* Not lapped by a byte: exactly what may still be copied. */
static void test_a_full_lap_but_one_while_copying(void **state)
{
    struct fixture *x = *state;
    close_feed(x);
    open_feed(x, LARGE);
    publish_one(&x->writer, 1, 8192 - 32);
    fault.seq = 1;
    struct feed_reader r = {0};
    arm(x, 4096 + 16, LARGE);
    expect(x, &r, FEED_MESSAGE, 1, 8192 - 32);
    disarm();
    assert_int_equal(reserved(&x->writer), LARGE);
}

static void test_lapped_by_the_least(void **state)
{
    struct fixture *x = *state;
    for (uint64_t seq = 1; feed_published(&x->writer) < SIZE;)
        publish_one(&x->writer, seq++, BATCH - 32);
    struct feed_reader first = {0}, second = {0};
    expect(x, &first, FEED_MESSAGE, 1, BATCH - 32);
    add(&x->writer, SIZE, FEED_COMMIT, 1000, 0);
    expect_code(x, &second, -EOVERFLOW);
    assert_int_equal(second.seq, SIZE / BATCH);
}

/* The seq beside the head must be that head's, not one of a lap later. */
static void test_lapped_while_starting(void **state)
{
    struct fixture *x = *state;
    close_feed(x);
    open_feed(x, LARGE);
    for (fault.seq = 0; fault.seq < 100;) /* past the page that holds the control block */
        publish_one(&x->writer, ++fault.seq, BATCH - 32);
    struct feed_reader r;
    arm(x, 100 * BATCH - 16, 2 * LARGE);
    assert_int_equal(feed_start(&x->reader, &r), 0);
    disarm();
    assert_int_equal(r.pos, 2 * LARGE);
    assert_int_equal(r.seq, 2 * LARGE / BATCH);
}

/* --- a writer that laps its readers --- */

#define ENOUGH_READ 20000u
#define ENOUGH_LAPS 200u

struct race { /* in memory that both share */
    struct feed feed;
    _Atomic uint32_t enough; /* the reader has seen what it wants to */
};

static void run_writer(struct race *race)
{
    const struct feed *f = &race->feed;
    unsigned seed = 1;
    uint64_t seq = 1;
    for (unsigned i = 0; !atomic_load(&race->enough); i++) {
        uint64_t head = feed_published(f);
        unsigned n = (unsigned)rand_r(&seed) % 4;
        for (unsigned k = 0; k < n; k++) {
            void *at;
            seq++;
            size_t len = (size_t)rand_r(&seed) % 250;
            if (feed_prepare(f, &head, FEED_MESSAGE, seq, len, &at))
                abort();
            fill(at, len, seq);
        }
        if (rand_r(&seed) % 8 == 0)
            continue; /* dropped: its bytes are written over by the next batch */
        void *at;
        if (feed_prepare(f, &head, FEED_COMMIT, seq, 0, &at))
            abort();
        feed_publish(f, head);
        if (i % 64 == 0)
            sched_yield();
    }
    /* The end, which a reader cannot miss: every reader ends at the head. */
    uint64_t head = feed_published(f);
    void *at;
    if (feed_prepare(f, &head, FEED_COMMIT, UINT64_MAX, 0, &at))
        abort();
    feed_publish(f, head);
}

/* Reads until it has seen enough, then to the end; every accepted record is whole and every seq is
 * above the one before. */
static void run_reader(struct fixture *x, struct race *race, struct feed_reader *r)
{
    unsigned seed = 2, lapped = 0, got = 0;
    uint64_t last = 0;
    while (r->seq != UINT64_MAX) {
        struct feed_record rec;
        int n = feed_next(&x->reader, r, &rec, &x->body);
        if (n == -EOVERFLOW) {
            lapped++;
            assert_true(r->seq >= last);
            last = r->seq;
        } else if (n == 1) {
            assert_int_equal(x->body.len, rec.len);
            if (rec.type == FEED_MESSAGE) {
                assert_true(intact(&x->body, rec.seq));
                assert_true(rec.seq > last);
                last = rec.seq;
                got++;
            } else {
                assert_int_equal(rec.type, FEED_COMMIT);
                assert_int_equal(rec.len, 0);
                assert_true(rec.seq >= last);
                last = rec.seq;
            }
            if (rand_r(&seed) % 256 == 0)
                sched_yield(); /* slow now and then */
            if (lapped >= ENOUGH_LAPS && got >= ENOUGH_READ)
                atomic_store(&race->enough, 1);
        } else {
            assert_int_equal(n, 0);
            sched_yield();
        }
    }
    assert_true(lapped >= ENOUGH_LAPS && got >= ENOUGH_READ);
}

static struct race *start_race(struct fixture *x, struct feed_reader *r)
{
    close_feed(x);
    open_feed(x, 4 * SIZE);
    struct race *race =
        mmap(NULL, sizeof(*race), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(race != MAP_FAILED);
    race->feed = x->writer;
    commit(&x->writer, 0, 1);
    assert_int_equal(feed_start(&x->reader, r), 0);
    return race;
}

static void *writer_thread(void *arg)
{
    run_writer(arg);
    return NULL;
}

static void test_threads_lapping(void **state)
{
    struct fixture *x = *state;
    struct feed_reader r;
    struct race *race = start_race(x, &r);
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, writer_thread, race), 0);
    run_reader(x, race, &r);
    assert_int_equal(pthread_join(writer, NULL), 0);
    munmap(race, sizeof(*race));
}

static void test_processes_lapping(void **state)
{
    struct fixture *x = *state;
    struct feed_reader r;
    struct race *race = start_race(x, &r);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed assertion above must not leave us behind */
        run_writer(race);
        _exit(0);
    }
    run_reader(x, race, &r);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    munmap(race, sizeof(*race));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(test_a_new_feed_has_no_start),
        T(test_records_come_out_in_order),
        T(test_a_dropped_batch_is_never_seen_and_reserved_stays),
        T(test_published_never_moves_back),
        T(test_a_batch_is_at_most_a_quarter),
        T(test_the_head_always_follows_a_commit),
        T(test_a_lapped_reader_goes_to_the_head),
        T(test_reserved_alone_laps),
        T(test_what_makes_no_sense_counts_as_lapped),
        T(test_no_seq_at_the_head),
        T(test_a_body_over_its_buffer_keeps_the_reader),
        T(test_no_memory_keeps_the_reader),
        T(test_maps_are_judged),
        T(test_lapped_while_copying),
        T(test_a_full_lap_but_one_while_copying),
        T(test_lapped_by_the_least),
        T(test_lapped_while_starting),
        T(test_threads_lapping),
        T(test_processes_lapping),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
