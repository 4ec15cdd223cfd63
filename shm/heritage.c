/* heritage - one struct, one descriptor: what a role gets from the supervisor across exec.
 *
 * The struct lies in a memfd rather than in arguments or the environment, so that it is typed,
 * complete and invisible to `ps`. It comes from our own supervisor, but perhaps from another build:
 * the size and the layout number are judged before anything else is read from it.
 */
#include "shm/heritage.h"

#include "shm/region.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static bool valid(const struct heritage *h)
{
    return h->layout == board_layout() && h->role <= ROLE_WRITER && h->slot < BOARD_SEATS &&
           h->nworkers <= BOARD_WORKERS && h->nlistens >= 0 && h->nlistens <= HERITAGE_LISTENS &&
           memchr(h->config_path, '\0', sizeof(h->config_path));
}

int heritage_receive(struct heritage *ret)
{
    void *map;
    int err = region_map(HERITAGE_FD, sizeof(struct heritage), false, &map);
    if (!err) {
        if (valid(map))
            memcpy(ret, map, sizeof(*ret));
        else
            err = -EPROTO;
        region_unmap(map, sizeof(struct heritage));
    }
    close(HERITAGE_FD);
    return err;
}

int heritage_pack(const struct heritage *h)
{
    int fd = region_create("restante-heritage", sizeof(*h));
    if (fd < 0)
        return fd;
    void *map;
    int err = region_map(fd, sizeof(*h), true, &map);
    if (err) {
        close(fd);
        return err;
    }
    memcpy(map, h, sizeof(*h));
    region_unmap(map, sizeof(*h));
    return fd;
}
