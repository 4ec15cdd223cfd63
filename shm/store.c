/* store - opening and closing the environment, and what it says about itself.
 *
 * Everything that a durability grade or a role changes about LMDB stands here: flags, the check
 * that `memory` lies on a tmpfs that cannot fill up under the map (that would be SIGBUS), the
 * schema check, and keeping the map out of core dumps.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

#include "shm/meta.h"
#include "shm/store_priv.h"

#define OPEN_TRIES 20 /* a reader may meet the writer between creating and filling the files */
#define OPEN_PAUSE_NS 10000000L
#define MEMORY_PERCENT 90 /* of the tmpfs that the map may take */

static const char *const DB_NAMES[DB_COUNT] = {
    [DB_LOG] = "log",           [DB_NAME] = "name",       [DB_SESSION] = "session",
    [DB_SUBJECT] = "subject",   [DB_SUBS] = "subs",       [DB_MEMBER] = "member",
    [DB_ATTACH] = "attach",     [DB_EXPIRY] = "expiry",   [DB_DEDUP] = "dedup",
    [DB_COLLAPSE] = "collapse", [DB_RECEIPT] = "receipt", [DB_TALLY] = "tally",
    [DB_RECLAIM] = "reclaim",   [DB_META] = "meta",       [DB_TOPIC] = "topic",
};

static const struct {
    int mdb, err;
} ERRORS[] = {
    {MDB_NOTFOUND, -ENOENT},
    {MDB_KEYEXIST, -EEXIST},
    {MDB_MAP_FULL, -ENOSPC},
    {MDB_TXN_FULL, -ENOSPC},
    {MDB_PAGE_FULL, -ENOSPC},
    {MDB_CURSOR_FULL, -ENOSPC},
    {MDB_PAGE_NOTFOUND, -EUCLEAN},
    {MDB_CORRUPTED, -EUCLEAN},
    {MDB_MAP_RESIZED, -EUCLEAN},
    {MDB_INVALID, -EUCLEAN},
    {MDB_VERSION_MISMATCH, -EUCLEAN},
    {MDB_READERS_FULL, -EAGAIN},
    {MDB_PANIC, -EIO},
    {MDB_BAD_VALSIZE, -EINVAL},
    {MDB_BAD_TXN, -EINVAL},
    {MDB_BAD_RSLOT, -EINVAL},
    {MDB_BAD_DBI, -EINVAL},
    {MDB_INCOMPATIBLE, -EINVAL},
    {MDB_DBS_FULL, -EINVAL},
};

int store_error(int rc)
{
    if (rc == 0)
        return 0;
    for (size_t i = 0; i < sizeof(ERRORS) / sizeof(ERRORS[0]); i++)
        if (ERRORS[i].mdb == rc)
            return ERRORS[i].err;
    return rc > 0 ? -rc : -EIO;
}

/* Bytes that the existing data file occupies (sparse parts do not count). */
static uint64_t data_file_bytes(const char *path)
{
    char file[4096];
    struct stat st;
    int n = snprintf(file, sizeof(file), "%s/data.mdb", path);
    if (n < 0 || (size_t)n >= sizeof(file) || stat(file, &st) != 0)
        return 0;
    return (uint64_t)st.st_blocks * 512;
}

static int check_memory_grade(const char *path, uint64_t map_size)
{
    struct statfs fs;
    if (statfs(path, &fs) != 0)
        return -errno;
    if ((uint64_t)fs.f_type != TMPFS_MAGIC) {
        log_event(LOG_ERROR, "store_refused", LOG_Z("path", path),
                  LOG_Z("reason", "durability memory needs a path on tmpfs"));
        return -ENOTSUP;
    }
    if (fs.f_blocks == 0)
        return 0; /* a tmpfs mounted without a size never fills up */
    uint64_t room = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize + data_file_bytes(path);
    uint64_t most = room / 100 * MEMORY_PERCENT;
    if (map_size > most) {
        log_event(LOG_ERROR, "store_refused", LOG_Z("path", path),
                  LOG_Z("reason", "map_size is over 90 % of what the tmpfs has free"),
                  LOG_U("map_size", map_size), LOG_U("allowed", most), LOG_U("free", room));
        return -ENOTSUP;
    }
    return 0;
}

static int make_directory(const char *path)
{
    struct stat st;
    if (mkdir(path, 0700) == 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    if (stat(path, &st) != 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

/* A crash must not write gigabytes of other people's messages into a core file. LMDB does not tell
 * where its map lies, the kernel does; where it does not, the core is merely larger. */
static void keep_out_of_cores(MDB_env *env)
{
    mdb_filehandle_t fd;
    struct stat st;
    char line[4352];
    if (mdb_env_get_fd(env, &fd) != 0 || fstat(fd, &st) != 0)
        return;
    FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps)
        return;
    while (fgets(line, sizeof(line), maps)) {
        uintptr_t from, to;
        unsigned long inode;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*s %*s %lu", &from, &to, &inode) != 3)
            continue;
        if (inode == st.st_ino && madvise((void *)from, to - from, MADV_DONTDUMP) != 0)
            log_event(LOG_DEBUG, "store_dump", LOG_E(-errno));
    }
    fclose(maps);
}

static unsigned env_flags(const struct store_options *o)
{
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD;
    if (o->mode == STORE_READER)
        return flags | MDB_RDONLY;
    return o->memory ? flags | MDB_NOSYNC | MDB_WRITEMAP : flags;
}

static int env_open_once(struct store *s)
{
    const struct store_options *o = &s->options;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int rc = mdb_env_create(&s->env);
    if (rc != 0) {
        s->env = NULL;
        return store_error(rc);
    }
    rc = mdb_env_set_mapsize(s->env, (size_t)o->map_size / page * page);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(s->env, DB_COUNT);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(s->env, o->max_readers);
    if (rc == 0)
        rc = mdb_env_open(s->env, s->path, env_flags(o), 0600);
    if (rc != 0) {
        mdb_env_close(s->env);
        s->env = NULL;
    }
    return store_error(rc);
}

static int env_open(struct store *s)
{
    const struct timespec pause = {.tv_nsec = OPEN_PAUSE_NS};
    for (int tries = 1;; tries++) {
        int rc = env_open_once(s);
        bool again = rc == -EAGAIN || rc == -ENOENT || rc == -EINVAL;
        if (!again || s->options.mode == STORE_WRITER || tries == OPEN_TRIES)
            return rc;
        nanosleep(&pause, NULL);
    }
}

/* Handles [from, to) are opened in one transaction that is committed: aborting it would close them.
 */
static int open_dbs(struct store *s, int from, int to)
{
    bool writer = s->options.mode == STORE_WRITER;
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, writer ? 0 : MDB_RDONLY, &txn);
    if (rc != 0)
        return store_error(rc);
    for (int i = from; i < to && rc == 0; i++)
        rc = mdb_dbi_open(txn, DB_NAMES[i], writer ? MDB_CREATE : 0, &s->dbi[i]);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return store_error(rc);
    }
    return store_error(mdb_txn_commit(txn));
}

static int check_schema(struct store *s)
{
    struct txn *t;
    uint64_t schema = META_SCHEMA;
    int rc = store_read(s, &t);
    if (rc < 0)
        return rc;
    rc = meta_schema(t, &schema);
    txn_done(t);
    if (rc < 0 && rc != -ENOENT)
        return rc;
    if (schema == META_SCHEMA)
        return 0;
    bool newer = schema > META_SCHEMA;
    log_event(LOG_ERROR, "store_refused", LOG_Z("path", s->path),
              LOG_Z("reason", newer ? "the store's schema is newer than this program"
                                    : "the store's schema is older than this program"),
              LOG_Z("remedy", newer ? "run the program that wrote it"
                                    : "run the program that wrote it, or move it away: the server "
                                      "then begins with an empty one"),
              LOG_U("schema", schema), LOG_U("known", META_SCHEMA));
    return -EEXIST;
}

int store_open(const struct store_options *o, struct store **ret)
{
    _Static_assert(DB_META == DB_COUNT - 1, "the others come before it");
    struct store *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->options = *o;
    s->reader.store = s->writer.store = s;
    s->writer.write = true;
    s->path = strdup(o->path);
    int rc = s->path ? 0 : -ENOMEM;
    if (rc == 0 && o->mode == STORE_WRITER)
        rc = make_directory(s->path);
    if (rc == 0 && o->mode == STORE_WRITER && o->memory)
        rc = check_memory_grade(s->path, o->map_size);
    if (rc == 0)
        rc = env_open(s);
    if (rc == 0)
        rc = open_dbs(s, DB_META, DB_META + 1); /* the only one that every schema has */
    if (rc == 0)
        rc = check_schema(s);
    if (rc == 0)
        rc = open_dbs(s, 0, DB_META);
    if (rc < 0) {
        store_close(s);
        return rc;
    }
    s->options.path = s->path;
    keep_out_of_cores(s->env);
    *ret = s;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    must(!s->reader.open && !s->writer.open);
    for (int i = 0; i < DB_COUNT; i++)
        if (s->reader.cursor[i])
            mdb_cursor_close(s->reader.cursor[i]);
    if (s->reader.mdb)
        mdb_txn_abort(s->reader.mdb);
    if (s->env)
        mdb_env_close(s->env);
    free(s->path);
    free(s);
}

int txn_usage(struct txn *t, struct store_usage *ret)
{
    struct store *s = t->store;
    MDB_stat st;
    MDB_envinfo info;
    struct statvfs fs;
    uint64_t pages = 2; /* the meta pages */
    int rc = mdb_env_info(s->env, &info);
    /* LMDB's own trees (free pages, names of DBIs) are handles 0 and 1. */
    for (MDB_dbi i = 0; i < 2 && rc == 0; i++) {
        rc = mdb_stat(t->mdb, i, &st);
        if (rc == 0)
            pages += st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages;
    }
    for (int i = 0; i < DB_COUNT && rc == 0; i++) {
        rc = mdb_stat(t->mdb, s->dbi[i], &st);
        if (rc == 0)
            pages += st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages;
    }
    if (rc != 0)
        return store_error(rc);
    if (statvfs(s->path, &fs) != 0)
        return -errno;
    uint64_t file = ((uint64_t)info.me_last_pgno + 1) * st.ms_psize;
    uint64_t on_disk = file + (uint64_t)fs.f_bavail * fs.f_frsize;
    ret->used = pages * st.ms_psize;
    ret->file = file;
    ret->limit = info.me_mapsize;
    if (fs.f_blocks != 0 && on_disk < ret->limit)
        ret->limit = on_disk;
    return 0;
}

int store_reader_check(struct store *s)
{
    int dead = 0;
    int rc = mdb_reader_check(s->env, &dead);
    return rc != 0 ? store_error(rc) : dead;
}

int store_copy(struct store *s, int fd)
{
    return store_error(mdb_env_copyfd2(s->env, fd, MDB_CP_COMPACT));
}
