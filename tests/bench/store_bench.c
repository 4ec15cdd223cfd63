/* store_bench - appends into many streams, as the writer does them, without rings and network.
 *
 *   store_bench [SECONDS [memory|disk|space]]     a measurement's length, default 1.5
 *
 * One process, batches of 512 and (disk) 4096 messages of 128 bytes to random streams of a refusing
 * mailbox's limits, one meta row and one commit a batch; then acks of everything. `memory` lies in
 * /dev/shm, `disk` in the working directory (TMPDIR if set), with LMDB's own fsync a commit. Last,
 * the store's bytes a message at 10,000 streams x 20 messages.
 */
#include "common/clock.h"
#include "common/log.h"

#include "shm/meta.h"
#include "shm/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define PAYLOAD 128
#define MAP_SIZE (4ull << 30)
#define STREAMS_MAX 10000

struct bench {
    struct store *store;
    char path[256];
    struct meta meta;
    uint64_t stream[STREAMS_MAX];
    unsigned nstreams;
    uint64_t random;
};

static const struct stream_limits LIMITS = {
    .messages = 10000, .bytes = 16 << 20, .refuse = true, .receipts = true, .receipts_ms = 3600000};

static void check(const char *what, int rc)
{
    if (rc != 0) {
        fprintf(stderr, "%s: %d\n", what, rc);
        exit(1);
    }
}

static uint64_t next_random(struct bench *b)
{
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return b->random;
}

static uint64_t cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000u +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void commit(struct bench *b, struct txn *t)
{
    b->meta.batch++;
    b->meta.time_ms = clock_wall_ms();
    check("meta", meta_put(t, &b->meta));
    check("commit", txn_commit(t));
}

static void begin(struct bench *b, bool memory, unsigned nstreams)
{
    const char *tmp = getenv("TMPDIR");
    struct txn *t;
    snprintf(b->path, sizeof(b->path), "%s/store_bench.XXXXXX",
             memory ? "/dev/shm" : (tmp ? tmp : "."));
    if (!mkdtemp(b->path))
        check("mkdtemp", -1);
    struct store_options o = {.path = b->path,
                              .map_size = MAP_SIZE,
                              .memory = memory,
                              .mode = STORE_WRITER,
                              .max_readers = STORE_READERS(2)};
    check("open", store_open(&o, &b->store));
    memset(&b->meta, 0, sizeof(b->meta));
    b->meta.schema = META_SCHEMA;
    b->random = 88172645463325252u;
    b->nstreams = nstreams;
    check("write", store_write(b->store, &t));
    for (unsigned i = 0; i < nstreams; i++)
        check("create", stream_create(t, STREAM_MAILBOX, &b->stream[i]));
    commit(b, t);
}

static void end(struct bench *b)
{
    char file[300];
    store_close(b->store);
    snprintf(file, sizeof(file), "%s/data.mdb", b->path);
    unlink(file);
    snprintf(file, sizeof(file), "%s/lock.mdb", b->path);
    unlink(file);
    rmdir(b->path);
}

static void append(struct bench *b, struct txn *t, uint64_t stream, uint64_t now_ms)
{
    static const char payload[PAYLOAD] = "{\"figure\":1}";
    unsigned budget = 512;
    struct message m = {.seq = b->meta.last_seq + 1,
                        .time_ms = now_ms,
                        .flags = MESSAGE_JSON,
                        .payload = str_make(payload, sizeof(payload))};
    check("append", stream_append(t, stream, &m, &LIMITS, now_ms, &budget));
    b->meta.last_seq = m.seq;
}

static void batch(struct bench *b, unsigned messages)
{
    struct txn *t;
    uint64_t now_ms = clock_wall_ms();
    check("write", store_write(b->store, &t));
    for (unsigned i = 0; i < messages; i++)
        append(b, t, b->stream[next_random(b) % b->nstreams], now_ms);
    commit(b, t);
}

static void ack_all(struct bench *b, double *ret_per_second)
{
    uint64_t start = clock_boot_ns(), removed = 0;
    for (unsigned i = 0; i < b->nstreams;) {
        struct txn *t;
        unsigned budget = 512;
        check("write", store_write(b->store, &t));
        for (; i < b->nstreams && budget > 0; i++) {
            uint64_t n = 0;
            check("ack", stream_ack(t, b->stream[i], b->meta.last_seq, clock_wall_ms(), &LIMITS,
                                    &budget, &n));
            removed += n;
        }
        commit(b, t);
    }
    *ret_per_second = (double)removed * 1e9 / (double)(clock_boot_ns() - start);
}

static void measure(bool memory, unsigned nstreams, unsigned messages, double seconds)
{
    struct bench *b = calloc(1, sizeof(*b));
    double acks;
    if (!b)
        check("calloc", -1);
    begin(b, memory, nstreams);
    uint64_t start = clock_boot_ns(), cpu = cpu_us(), took = 0;
    while (took < (uint64_t)(seconds * 1e9)) {
        batch(b, messages);
        took = clock_boot_ns() - start;
    }
    double n = (double)b->meta.last_seq;
    cpu = cpu_us() - cpu;
    ack_all(b, &acks);
    printf("%-6s  %6u streams  batch %4u  %8.0f msg/s  %5.2f us CPU/msg  %8.0f msg/s acked\n",
           memory ? "memory" : "disk", nstreams, messages, n * 1e9 / (double)took, (double)cpu / n,
           acks);
    fflush(stdout);
    end(b);
    free(b);
}

static void measure_space(unsigned nstreams, unsigned each)
{
    struct bench *b = calloc(1, sizeof(*b));
    struct store_usage u;
    struct txn *t;
    if (!b)
        check("calloc", -1);
    begin(b, true, nstreams);
    for (unsigned round = 0; round < each; round++)
        for (unsigned i = 0; i < nstreams;) {
            check("write", store_write(b->store, &t));
            for (unsigned k = 0; k < 512 && i < nstreams; k++, i++)
                append(b, t, b->stream[i], clock_wall_ms());
            commit(b, t);
        }
    check("write", store_write(b->store, &t));
    check("usage", txn_usage(t, &u));
    txn_done(t);
    printf("space   %6u streams x %u: %.0f bytes of store a message of %d bytes (file %.0f)\n",
           nstreams, each, (double)u.used / nstreams / each, PAYLOAD,
           (double)u.file / nstreams / each);
    end(b);
    free(b);
}

int main(int argc, char **argv)
{
    static const unsigned streams[] = {1000, STREAMS_MAX};
    double seconds = argc > 1 ? atof(argv[1]) : 1.5;
    const char *only = argc > 2 ? argv[2] : NULL;
    struct utsname un;
    check("uname", uname(&un));
    printf("store: %ld CPUs, Linux %s, payload %d bytes, %.1f s each\n",
           sysconf(_SC_NPROCESSORS_ONLN), un.release, PAYLOAD, seconds);
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        if (!only || strcmp(only, "memory") == 0)
            measure(true, streams[i], 512, seconds);
        if (!only || strcmp(only, "disk") == 0) {
            measure(false, streams[i], 512, seconds);
            measure(false, streams[i], 4096, seconds);
        }
    }
    if (!only || strcmp(only, "space") == 0)
        measure_space(10000, 20);
    return 0;
}
