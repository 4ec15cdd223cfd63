/* steer - see steer.h. A socket's index in its group is the order of listen(2), which listen.c
 * keeps equal to the slot; no socket of a group is ever closed before the server ends, so the
 * indexes stay.
 */
#include <errno.h>
#include <linux/filter.h>
#include <sys/socket.h>

#include "common/log.h"

#include "server/supervisor.h"

#define STEER_INSNS (2 + 2 * BOARD_WORKERS + 1)

static uint16_t program_make(const bool *serves, uint32_t nslots, uint32_t nserving,
                             struct sock_filter ret[STEER_INSNS])
{
    uint16_t n = 0;
    uint32_t nth = 0;

    ret[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                            (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM));
    ret[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, nserving);
    for (uint32_t slot = 0; slot < nslots; slot++) {
        if (!serves[slot])
            continue;
        ret[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nth++, 0, 1);
        ret[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, slot);
    }
    /* not reached; past the group's end means: by hash */
    ret[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
    return n;
}

static int group_set(const struct listener *l, const struct sock_fprog *program)
{
    int none = 0;

    if (program->len > 0)
        return setsockopt(l->fd[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, program, sizeof(*program))
                   ? -errno
                   : 0;
    if (setsockopt(l->fd[0], SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &none, sizeof(none)))
        return errno == ENOENT ? 0 : -errno; /* there was none */
    return 0;
}

int steer_set(const struct listens *l, const bool *serves, uint32_t nslots)
{
    struct sock_filter insns[STEER_INSNS];
    struct sock_fprog program = {.len = 0, .filter = insns};
    uint32_t nserving = 0;
    int rc = 0;

    for (uint32_t i = 0; i < nslots; i++)
        nserving += serves[i];
    if (nserving > 0 && nserving < nslots)
        program.len = program_make(serves, nslots, nserving, insns);
    for (size_t i = 0; i < l->n; i++) {
        if (l->of[i].address.kind == ADDRESS_UNIX || l->of[i].nfds < 2)
            continue;
        int err = group_set(&l->of[i], &program);
        rc = rc ? rc : err;
    }
    return rc;
}

void steer_proceed(struct supervisor *s)
{
    bool serves[BOARD_WORKERS] = {false};
    bool changed = false;
    uint32_t nserving = 0;

    for (uint32_t i = 0; i < s->nworkers; i++) {
        const struct child *c = supervisor_worker(s, i);
        serves[i] =
            c->pid > 0 && c->stopped_ms == 0 && !c->hung && child_state(s, c) == SEAT_RUNNING;
        changed = changed || serves[i] != s->serves[i];
        nserving += serves[i];
    }
    if (!changed || s->stop.phase != STOP_NOT)
        return; /* while draining nobody accepts */
    memcpy(s->serves, serves, sizeof(serves));
    int rc = steer_set(&s->listens, serves, s->nworkers);
    if (rc)
        log_event(LOG_WARN, "steer_failed", LOG_U("serving", nserving), LOG_E(rc));
    else
        log_event(LOG_DEBUG, "steered", LOG_U("serving", nserving), LOG_U("workers", s->nworkers));
}
