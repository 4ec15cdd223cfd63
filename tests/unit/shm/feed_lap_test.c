/* feed_lap_test - a writer that overtakes its readers: what they accept is whole and in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "shm/feed.h"
#include "tests/unit/shm/feed_harness.h"

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
        T(test_a_lapped_reader_goes_to_the_head),
        T(test_reserved_alone_laps),
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
