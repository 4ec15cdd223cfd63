/* Simulated power loss, grade disk. Below LMDB's writes a disk is kept as it would be if the power
 * went now: what was synced is there, pages written since are randomly old or new. At every sync,
 * and around every synchronous write of the meta page, such disks are made; each must open, pass
 * the walker, and hold every message whose acceptance had been published by then. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig.c"

#include "shm/page.h"
#include "shm/verify.h"

#define PAGE 4096u
#define DISK_MAX (16u << 20)
#define ROUNDS 40
#define IMAGES_A_SYNC 3

struct disk {
    struct rig *rig;
    bool on;
    unsigned char *durable, *cache; /* DISK_MAX each */
    bool dirty[DISK_MAX / PAGE];
    size_t size;
    uint64_t random;
    unsigned images, differing;
};

static struct disk disk;
static const uint8_t alice[SESSION_ID_SIZE] = {1};

static uint64_t next_random(void)
{
    disk.random ^= disk.random << 13;
    disk.random ^= disk.random >> 7;
    disk.random ^= disk.random << 17;
    return disk.random;
}

struct seen {
    uint64_t upto;
};

static bool on_message(void *arg, uint64_t stream, const struct message *m)
{
    (void)stream;
    struct seen *s = arg;
    must(m->seq == s->upto + 1); /* one mailbox: dense */
    s->upto = m->seq;
    return true;
}

/* In a grandchild: never the environment that our own process has open. */
static void judge_image(const char *dir, uint64_t accepted)
{
    struct store_options o = {.path = dir,
                              .map_size = disk.rig->conf->store_map_size,
                              .mode = STORE_READER,
                              .max_readers = 16};
    struct store *store;
    int err = store_open(&o, &store);
    if (accepted == 0 && err)
        _exit(0); /* power went before the first transaction: there is no store yet */
    must(err == 0);
    struct buf report;
    buf_init(&report, 1 << 20);
    uint64_t violations;
    struct txn *t;
    must(store_read(store, &t) == 0);
    must(verify_txn(t, &report, &violations) == 0);
    if (violations)
        fprintf(stderr, "%.*s\n", (int)report.len, report.data);
    must(violations == 0);
    struct session s;
    err = session_get(t, alice, &s);
    must(err == 0 || accepted == 0);
    struct seen seen = {0};
    if (!err) {
        struct page_source source = {.stream = s.stream};
        struct page p = {.sources = &source,
                         .nsources = 1,
                         .limit = 100000,
                         .max_bytes = 1 << 30,
                         .now_ms = s.created_ms,
                         .on_message = on_message,
                         .arg = &seen};
        must(page_read(t, &p) == 0);
    }
    must(seen.upto >= accepted);
    _exit(0);
}

static void write_image(const unsigned char *image)
{
    char dir[96], file[128];
    snprintf(dir, sizeof(dir), "%s/image", disk.rig->dir);
    snprintf(file, sizeof(file), "%s/image/data.mdb", disk.rig->dir);
    must(mkdir(dir, 0700) == 0 || errno == EEXIST);
    snprintf(dir, sizeof(dir), "%s/image/lock.mdb", disk.rig->dir);
    unlink(dir);
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0);
    must(syscall(SYS_write, fd, image, disk.size) == (ssize_t)disk.size);
    close(fd);
    snprintf(dir, sizeof(dir), "%s/image", disk.rig->dir);
    uint64_t accepted = atomic_load(&disk.rig->board->last_seq);
    fflush(NULL);
    pid_t pid = fork();
    must(pid >= 0);
    if (pid == 0) {
        disk.on = false;
        judge_image(dir, accepted);
    }
    int status;
    must(waitpid(pid, &status, 0) == pid);
    must(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    disk.images++;
}

/* The power goes now: each page written since the last sync is old or new. */
static void lose_power(void)
{
    unsigned char *image = malloc(DISK_MAX);
    must(image);
    for (int i = 0; i < IMAGES_A_SYNC; i++) {
        memcpy(image, disk.durable, disk.size);
        for (size_t page = 0; page < disk.size / PAGE; page++)
            if (disk.dirty[page] && next_random() & 1) {
                memcpy(image + page * PAGE, disk.cache + page * PAGE, PAGE);
                disk.differing++;
            }
        write_image(image);
    }
    free(image);
}

static void wrote(const void *p, size_t n, uint64_t at, bool synchronous)
{
    must(at + n <= DISK_MAX);
    if (synchronous)
        lose_power(); /* before it arrived */
    memcpy(disk.cache + at, p, n);
    if (at + n > disk.size)
        disk.size = (at + n + PAGE - 1) / PAGE * PAGE;
    for (uint64_t page = at / PAGE; page <= (at + n - 1) / PAGE; page++)
        disk.dirty[page] = true;
    if (synchronous) {
        memcpy(disk.durable + at, p, n);
        lose_power(); /* it arrived; its return did not */
    }
}

static bool is_synchronous(int fd)
{
    return (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
}

static ssize_t disk_pwrite(int fd, const void *p, size_t n, off_t at)
{
    if (disk.on)
        wrote(p, n, (uint64_t)at, is_synchronous(fd));
    return syscall(SYS_pwrite64, fd, p, n, at);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t pwrite64(int fd, const void *p, size_t n, off_t at);
ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return disk_pwrite(fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
    return disk_pwrite(fd, p, n, at);
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
    if (disk.on) {
        off_t at = lseek(fd, 0, SEEK_CUR);
        must(at >= 0);
        for (int i = 0; i < n; i++) {
            wrote(iov[i].iov_base, iov[i].iov_len, (uint64_t)at, false);
            at += (off_t)iov[i].iov_len;
        }
    }
    return syscall(SYS_writev, fd, iov, n);
}

int fdatasync(int fd)
{
    if (disk.on) {
        lose_power();
        memcpy(disk.durable, disk.cache, disk.size);
        memset(disk.dirty, 0, sizeof(disk.dirty));
    }
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return fdatasync(fd);
}

static void every_image_holds_what_was_accepted(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, "session { mailbox_messages = 100000 }");
    disk.rig = &r;
    disk.durable = calloc(1, DISK_MAX);
    disk.cache = calloc(1, DISK_MAX);
    assert_non_null(disk.durable);
    assert_non_null(disk.cache);
    disk.random = (uint64_t)time(NULL) * 2654435761u + 1;
    const char *seed = getenv("SEED");
    if (seed)
        disk.random = strtoull(seed, NULL, 10);
    print_message("SEED=%llu\n", (unsigned long long)disk.random);

    disk.on = true;
    struct writer *w = rig_writer(&r);
    rig_open_session(&r, 0, alice, "alice");
    rig_run(w);
    uint64_t put = 0;
    for (int round = 0; round < ROUNDS; round++) {
        unsigned n = 1 + (unsigned)(next_random() % 40);
        for (unsigned i = 0; i < n; i++, put++) {
            char text[1200];
            size_t len = 2 + next_random() % (sizeof(text) - 3);
            memset(text, '1', len);
            text[len] = '\0';
            rig_append(&r, (uint32_t)(i & 1), alice, NULL, text, MESSAGE_JSON);
        }
        rig_run(w);
        struct rig_reply reply;
        for (uint32_t s = 0; s < 2; s++)
            while (rig_reply(&r, s, &reply))
                assert_int_equal(reply.code, CODE_OK);
    }
    disk.on = false;
    assert_int_equal(atomic_load(&r.board->last_seq), put);
    print_message("%u images, %u pages newer than their last sync\n", disk.images, disk.differing);
    assert_true(disk.images > 100);
    assert_true(disk.differing > 0);
    dedup_close(w->dedup);
    store_close(w->store);
    buf_free(&w->scratch);
    buf_free(&w->completion);
    free(w);
    rig_close(&r);
    free(disk.durable);
    free(disk.cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_image_holds_what_was_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
