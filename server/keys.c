/* keys - see keys.h. Write to a new file, fsync, rename, fsync the directory: the only order in
 * which the old file stays whole until the new one is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

#include "server/supervisor.h"

#define KEYS_TITLE "restante session keys 1\n"
#define KEYS_ID 8      /* hex digits */
#define KEYS_SECRET 64 /* hex digits */
#define KEYS_LINE (KEYS_ID + 1 + KEYS_SECRET + 1)
#define KEYS_MAX (sizeof(KEYS_TITLE) - 1 + 2 * KEYS_LINE)

static int line_parse(struct str line, struct session_key *ret)
{
    uint8_t id[4];
    struct session_key k = {0};

    if (line.p[KEYS_ID] != ' ' || line.p[KEYS_LINE - 1] != '\n' ||
        hex_decode(str_make(line.p, KEYS_ID), id, sizeof(id)) ||
        hex_decode(str_make(line.p + KEYS_ID + 1, KEYS_SECRET), k.secret, sizeof(k.secret)))
        return -EBADMSG;
    for (size_t i = 0; i < sizeof(id); i++)
        k.id = k.id << 8 | id[i];
    if (k.id == 0)
        return -EBADMSG;
    *ret = k;
    return 0;
}

static int text_parse(struct str text, struct session_keys *ret)
{
    const size_t title = sizeof(KEYS_TITLE) - 1;
    struct session_keys keys = {0};

    if (text.n < title || memcmp(text.p, KEYS_TITLE, title) != 0)
        return -EBADMSG;
    text = str_make(text.p + title, text.n - title);
    size_t n = text.n / KEYS_LINE;
    if (n < 1 || n > 2 || text.n % KEYS_LINE != 0)
        return -EBADMSG;
    for (size_t i = 0; i < n; i++) {
        int rc = line_parse(str_make(text.p + i * KEYS_LINE, KEYS_LINE), &keys.key[i]);
        if (rc)
            return rc;
    }
    if (keys.key[0].id == keys.key[1].id)
        return -EBADMSG;
    *ret = keys;
    return 0;
}

static size_t text_make(const struct session_keys *keys, char ret[KEYS_MAX + 1])
{
    size_t n = sizeof(KEYS_TITLE) - 1;

    memcpy(ret, KEYS_TITLE, n);
    for (size_t i = 0; i < 2 && keys->key[i].id != 0; i++) {
        char secret[KEYS_SECRET + 1];
        hex_encode(keys->key[i].secret, sizeof(keys->key[i].secret), secret);
        n += (size_t)snprintf(ret + n, KEYS_MAX + 1 - n, "%08x %s\n", keys->key[i].id, secret);
        explicit_bzero(secret, sizeof(secret));
    }
    return n;
}

static int write_whole(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? -errno : -EIO;
        p += done;
        n -= (size_t)done;
    }
    return fsync(fd) ? -errno : 0;
}

static int keys_write(int dir, const struct session_keys *keys)
{
    char text[KEYS_MAX + 1];
    size_t n = text_make(keys, text);
    int fd =
        openat(dir, KEYS_FILE ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc = fd < 0 ? -errno : 0;

    if (rc == 0 && fchmod(fd, 0600))
        rc = -errno;
    if (rc == 0)
        rc = write_whole(fd, text, n);
    if (fd >= 0)
        (void)close(fd);
    if (rc == 0 && renameat(dir, KEYS_FILE ".new", dir, KEYS_FILE))
        rc = -errno;
    if (rc == 0 && fsync(dir))
        rc = -errno;
    explicit_bzero(text, sizeof(text));
    return rc;
}

static int keys_read(int dir, struct session_keys *ret)
{
    char text[KEYS_MAX + 1];
    struct stat st;
    ssize_t n = -1;
    int rc = 0;
    int fd = openat(dir, KEYS_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st))
        rc = -errno;
    else if (st.st_mode & (S_IRWXG | S_IRWXO))
        rc = -EPERM;
    if (rc == 0) {
        n = read(fd, text, sizeof(text));
        rc = n < 0 ? -errno : text_parse(str_make(text, (size_t)n), ret);
    }
    (void)close(fd);
    explicit_bzero(text, sizeof(text));
    return rc;
}

static void key_make(struct session_key *k, uint32_t other_id)
{
    do {
        ids_random(&k->id, sizeof(k->id));
    } while (k->id == 0 || k->id == other_id);
    ids_random(k->secret, sizeof(k->secret));
}

int keys_load(const char *state_dir, struct session_keys *ret)
{
    struct session_keys keys = {0};
    int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return -errno;
    int rc = keys_read(dir, &keys);
    if (rc == -ENOENT) {
        key_make(&keys.key[0], 0);
        rc = keys_write(dir, &keys);
    }
    (void)close(dir);
    if (rc == 0)
        *ret = keys;
    explicit_bzero(&keys, sizeof(keys));
    return rc;
}

int keys_rotate(const char *state_dir, struct session_keys *keys)
{
    struct session_keys next = {.key[1] = keys->key[0]};
    int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return -errno;
    key_make(&next.key[0], next.key[1].id);
    int rc = keys_write(dir, &next);
    (void)close(dir);
    if (rc == 0)
        *keys = next;
    explicit_bzero(&next, sizeof(next));
    return rc;
}

int keys_rotate_now(struct supervisor *s)
{
    uint64_t wanted = atomic_load(&s->board->rotate_wanted);
    int rc = keys_rotate(s->conf->state_dir, &s->keys);

    if (rc) {
        s->rotate_again_ms = s->now_ms + KEYS_RETRY_MS;
        log_event(LOG_ERROR, "rotate_failed", LOG_E(rc));
        return rc;
    }
    board_keys_set(s->board, &s->keys);
    atomic_store(&s->board->rotate_done, wanted);
    log_event(LOG_INFO, "keys_rotated", LOG_U("key", s->keys.key[0].id));
    return 0;
}

void keys_proceed(struct supervisor *s)
{
    if (atomic_load(&s->board->rotate_wanted) == atomic_load(&s->board->rotate_done) ||
        s->now_ms < s->rotate_again_ms)
        return;
    (void)keys_rotate_now(s); /* logged; tried again later */
}
