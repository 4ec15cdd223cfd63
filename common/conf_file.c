/* conf_file - see conf_file.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf_file.h"

/* 0, -EMSGSIZE past the ceiling, -errno. Room for the whole file is made before its first byte is
 * read: growing would leave copies of a secret behind. */
static int read_all(int fd, struct buf *text)
{
    int rc = buf_reserve(text, text->max);
    ssize_t got = 1;

    while (rc == 0 && got != 0) {
        char beyond;
        size_t room = text->max - text->len;
        got = room ? read(fd, text->data + text->len, room) : read(fd, &beyond, 1);
        if (got < 0 && errno != EINTR)
            rc = -errno;
        else if (got > 0 && room == 0)
            rc = -EMSGSIZE;
        else if (got > 0)
            text->len += (size_t)got;
    }
    return rc;
}

int conf_file_read(const char *path, struct buf *text, char why[CONF_FILE_WHY])
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int rc = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;
    bool regular = rc == 0 && S_ISREG(st.st_mode);

    if (regular)
        rc = read_all(fd, text);
    if (fd >= 0)
        close(fd);
    if (rc == 0 && regular)
        return 0;
    if (rc == -ENOMEM)
        return rc;
    if (rc == 0)
        snprintf(why, CONF_FILE_WHY, "is not a regular file");
    else if (rc == -EMSGSIZE)
        snprintf(why, CONF_FILE_WHY, "is larger than %zu bytes", text->max);
    else
        snprintf(why, CONF_FILE_WHY, "cannot be read: %s", strerror(-rc));
    return -EINVAL;
}

void conf_file_wipe(struct buf *text)
{
    if (text->data)
        explicit_bzero(text->data, text->cap);
    buf_free(text);
}
