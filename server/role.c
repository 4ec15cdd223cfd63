/* role - see role.h. What was inherited is checked before anything of it is used; the configuration
 * is the supervisor's bytes, not the file, which may have changed since.
 */
#include "server/role.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

#include "server/supervisor.h"

#define ROLE_TITLE 32
#define ROLE_REPORT (64 * 1024)

/* pread: the descriptor's offset is shared with every other process that inherited it. */
static int config_read(int fd, struct buf *text)
{
    struct stat st;
    size_t done = 0;

    if (fstat(fd, &st))
        return -errno;
    int rc = buf_reserve(text, (size_t)st.st_size);
    while (rc == 0 && done < (size_t)st.st_size) {
        ssize_t n = pread(fd, text->data + done, (size_t)st.st_size - done, (off_t)done);
        if (n > 0)
            done += (size_t)n;
        else if (n == 0)
            rc = -EPROTO;
        else if (errno != EINTR)
            rc = -errno;
    }
    text->len = done;
    return rc;
}

static int config_load(const struct heritage *h, struct conf **ret)
{
    struct buf text, report;

    buf_init(&text, CONF_FILE_MAX);
    buf_init(&report, ROLE_REPORT);
    int rc = config_read(h->config_fd, &text);
    if (rc == 0)
        rc = conf_load(buf_str(&text), h->config_path, ret, &report);
    if (rc)
        log_event(LOG_ERROR, "configuration_refused", LOG_S("report", buf_str(&report)), LOG_E(rc));
    buf_free(&report);
    buf_free(&text);
    return rc;
}

static const struct role_entry *entry_of(const struct role_entry *roles, size_t n, uint32_t role)
{
    for (size_t i = 0; i < n; i++) {
        if (roles[i].role == role)
            return &roles[i];
    }
    return NULL;
}

int role_run(const struct role_entry *roles, size_t n, const struct title *title)
{
    struct heritage h;
    struct board *board;
    struct conf *conf;
    char text[ROLE_TITLE];

    int rc = heritage_receive(&h);
    const struct role_entry *e = rc ? NULL : entry_of(roles, n, h.role);
    if (!e || h.slot >= BOARD_SEATS) {
        log_event(LOG_ERROR, "heritage_refused", LOG_E(rc ? rc : -EPROTO));
        return EXIT_USAGE;
    }
    (void)snprintf(text, sizeof(text), e->numbered ? "restanted: %s %u" : "restanted: %s", e->name,
                   h.slot);
    title_set(title, text);
    log_init(LOG_INFO, h.log_fd, e->name, e->numbered ? (int)h.slot : -1);

    /* Mapped once more by the role itself; this mapping is for its last words, from here on. */
    rc = board_map(h.board_fd, &board);
    if (rc) {
        log_event(LOG_ERROR, "board_refused", LOG_E(rc));
        return EXIT_FAILED;
    }
    log_panic_text(board->seat[h.slot].panic, sizeof(board->seat[h.slot].panic));
    rc = config_load(&h, &conf);
    if (rc)
        return EXIT_CONFIG;
    log_init((enum log_level)conf->log_level, h.log_fd, e->name, e->numbered ? (int)h.slot : -1);
    rc = e->main(&h, conf);
    conf_free(conf);
    return rc;
}
