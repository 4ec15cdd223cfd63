/* rig - see rig.h. Included by the tests, so that each is one program. */
#include "rig.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void rig_memory(struct rig *r)
{
    int fd = board_create(2, &r->board);
    must(fd >= 0);
    close(fd);
    fd = rings_create(2, r->conf->shm_inbox, r->conf->shm_reply);
    must(fd >= 0);
    must(rings_map(fd, 2, r->conf->shm_inbox, r->conf->shm_reply, &r->rings) == 0);
    close(fd);
    fd = feed_create(r->conf->shm_feed);
    must(fd >= 0);
    must(feed_map(fd, r->conf->shm_feed, true, &r->feed) == 0);
    close(fd);
    for (int i = 0; i < 2; i++) {
        atomic_store(&r->board->seat[i].generation, 1);
        r->inbox_head[i] = 0;
        r->reply_pos[i] = 0;
    }
}

void rig_open(struct rig *r, const char *extra)
{
    memset(r, 0, sizeof(*r));
    for (int i = 0; i < 2; i++) {
        r->bell_fd[i] = bell_create();
        must(r->bell_fd[i] >= 0);
    }
    buf_init(&r->body, 1 << 20);
    log_init(LOG_ERROR + 1, STDERR_FILENO, "writer", -1); /* refusals here are meant */
    snprintf(r->dir, sizeof(r->dir), "/dev/shm/restante-rig-XXXXXX");
    must(mkdtemp(r->dir));
    struct buf text, report;
    buf_init(&text, 65536);
    buf_init(&report, 65536);
    buf_printf(&text,
               "listen \"127.0.0.1:0\" { }\nstate_dir = \"%s\"\nworkers = 1\n"
               "store { map_size = \"64M\" }\n"
               "shm { inbox = \"256K\"  reply = \"64K\"  feed = \"64K\" }\n"
               "limits { request = \"64K\"  message = \"32K\" }\n%s\n",
               r->dir, extra);
    int err = conf_load(buf_str(&text), "/tmp/rig.conf", &r->conf, &report);
    if (err)
        fprintf(stderr, "%.*s", (int)report.len, report.data);
    must(err == 0);
    buf_free(&text);
    buf_free(&report);
    rig_memory(r);
}

void rig_restart(struct rig *r)
{
    rings_unmap(&r->rings);
    feed_unmap(&r->feed);
    board_unmap(r->board);
    rig_memory(r);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

void rig_close(struct rig *r)
{
    for (int i = 0; i < 2; i++)
        close(r->bell_fd[i]);
    rings_unmap(&r->rings);
    feed_unmap(&r->feed);
    board_unmap(r->board);
    conf_free(r->conf);
    buf_free(&r->body);
    must(nftw(r->dir, remove_one, 4, FTW_DEPTH | FTW_PHYS) == 0);
}

struct writer *rig_writer(struct rig *r)
{
    struct writer *w = calloc(1, sizeof(*w));
    must(w);
    w->conf = r->conf;
    w->heritage = &r->heritage;
    w->board = r->board;
    w->seat = &r->board->seat[BOARD_WRITER];
    w->metrics = &w->seat->metrics;
    w->rings = r->rings;
    w->feed = r->feed;
    w->bell = (struct bell){-1, &w->seat->asleep};
    w->supervisor_bell = (struct bell){-1, &r->board->seat[BOARD_SUPERVISOR].asleep};
    for (int i = 0; i < 2; i++)
        w->worker_bell[i] = (struct bell){r->bell_fd[i], &r->board->seat[i].asleep};
    buf_init(&w->scratch, w->rings.inbox[0].size);
    buf_init(&w->completion, w->rings.reply[0].size / 2);
    char path[128];
    snprintf(path, sizeof(path), "%s/store", r->dir);
    struct store_options o = {.path = path,
                              .map_size = r->conf->store_map_size,
                              .mode = STORE_WRITER,
                              .max_readers = 16,
                              .seat = w->seat};
    must(store_open(&o, &w->store) == 0);
    must(writer_recover(w) == 0);
    return w;
}

void rig_run(struct writer *w)
{
    for (;;) {
        storetime_turn(w);
        int took = batch_run(w);
        must(took >= 0);
        if (took == 0)
            return;
    }
}

void rig_stop(struct writer *w)
{
    presence_close(w);
    dedup_close(w->dedup);
    store_close(w->store);
    buf_free(&w->scratch);
    buf_free(&w->completion);
    free(w);
}

static struct pack begin_as(struct rig *r, uint32_t s, enum command_type type, size_t size,
                            uint64_t id)
{
    struct command_header h = {
        .type = type, .generation = atomic_load(&r->board->seat[s].generation), .id = id};
    void *at;
    must(ring_prepare(&r->rings.inbox[s], &r->inbox_head[s], sizeof(h) + size, &at) == 0);
    memcpy(at, &h, sizeof(h));
    return pack_into((char *)at + sizeof(h), size);
}

static struct pack begin(struct rig *r, uint32_t s, enum command_type type, size_t size)
{
    return begin_as(r, s, type, size, ++r->last_id);
}

static uint64_t end(struct rig *r, uint32_t s, const struct pack *p)
{
    must(!p->bad && p->p == p->end);
    ring_publish(&r->rings.inbox[s], r->inbox_head[s]);
    return r->last_id;
}

uint64_t rig_open_as(struct rig *r, uint32_t s, const struct command_open *c)
{
    struct pack p = begin(r, s, COMMAND_OPEN, command_open_size(c));
    command_open_encode(&p, c);
    return end(r, s, &p);
}

uint64_t rig_open_session(struct rig *r, uint32_t s, const uint8_t id[SESSION_ID_SIZE],
                          const char *subject)
{
    struct command_open c = {.subject = str_of(subject)};
    memcpy(c.session, id, SESSION_ID_SIZE);
    return rig_open_as(r, s, &c);
}

static void hash_of(uint8_t ret[16], struct str s)
{
    memset(ret, 0, 16);
    memcpy(ret, s.p, s.n < 16 ? s.n : 16);
}

uint64_t rig_publish(struct rig *r, uint32_t s, const struct command_append *head,
                     const struct command_append_item *what)
{
    struct command_append_item item = *what;
    struct command_append h = head ? *head : (struct command_append){.count = 1};
    if (item.keyed)
        hash_of(item.key_hash, item.id);
    if (item.keyed)
        hash_of(item.content_hash, item.payload);
    h.count = 1;
    struct pack p =
        begin(r, s, COMMAND_APPEND, COMMAND_APPEND_HEAD_SIZE + command_append_item_size(&item));
    command_append_encode(&p, &h);
    command_append_item_encode(&p, &item);
    return end(r, s, &p);
}

uint64_t rig_append(struct rig *r, uint32_t s, const uint8_t id[SESSION_ID_SIZE], const char *key,
                    const char *text, uint16_t flags)
{
    struct command_append_item item = {
        .target = APPEND_SESSION,
        .keyed = key != NULL,
        .flags = flags,
        .id = str_of(key),
        .payload = str_of(text),
    };
    memcpy(item.session, id, SESSION_ID_SIZE);
    return rig_publish(r, s, NULL, &item);
}

uint64_t rig_publish_topic(struct rig *r, uint32_t s, const char *topic, const char *key,
                           const char *text, uint16_t flags)
{
    struct command_append_item item = {
        .target = APPEND_TOPIC,
        .keyed = key != NULL,
        .flags = flags,
        .name = str_of(topic),
        .id = str_of(key),
        .payload = str_of(text),
    };
    return rig_publish(r, s, NULL, &item);
}

static uint64_t subscription(struct rig *r, uint32_t s, enum command_type type,
                             const uint8_t id[SESSION_ID_SIZE], const char *topic,
                             uint64_t generation, const char *presence)
{
    struct command_subscribe c = {
        .generation = generation, .topic = str_of(topic), .presence = str_of(presence)};
    memcpy(c.session, id, SESSION_ID_SIZE);
    struct pack p = begin(r, s, type, command_subscribe_size(&c));
    command_subscribe_encode(&p, &c);
    return end(r, s, &p);
}

uint64_t rig_subscribe(struct rig *r, uint32_t s, const uint8_t id[SESSION_ID_SIZE],
                       const char *topic, uint64_t generation)
{
    return subscription(r, s, COMMAND_SUBSCRIBE, id, topic, generation, "");
}

uint64_t rig_track(struct rig *r, uint32_t s, const uint8_t id[SESSION_ID_SIZE], const char *topic,
                   const char *presence)
{
    return subscription(r, s, COMMAND_SUBSCRIBE, id, topic, 0, presence);
}

uint64_t rig_unsubscribe(struct rig *r, uint32_t s, const uint8_t id[SESSION_ID_SIZE],
                         const char *topic, uint64_t generation)
{
    return subscription(r, s, COMMAND_UNSUBSCRIBE, id, topic, generation, "");
}

uint64_t rig_empty(struct rig *r, uint32_t s, const char *topic)
{
    struct command_empty c = {.topic = str_of(topic)};
    struct pack p = begin(r, s, COMMAND_EMPTY, command_empty_size(&c));
    command_empty_encode(&p, &c);
    return end(r, s, &p);
}

uint64_t rig_ack_by(struct rig *r, uint32_t s, const uint8_t id[SESSION_ID_SIZE], uint64_t seq,
                    uint64_t generation)
{
    struct command_ack c = {.seq = seq, .generation = generation};
    memcpy(c.session, id, SESSION_ID_SIZE);
    struct pack p = begin(r, s, COMMAND_ACK, COMMAND_ACK_SIZE);
    command_ack_encode(&p, &c);
    return end(r, s, &p);
}

uint64_t rig_ack(struct rig *r, uint32_t s, const uint8_t id[SESSION_ID_SIZE], uint64_t seq)
{
    return rig_ack_by(r, s, id, seq, 0);
}

uint64_t rig_attach(struct rig *r, uint32_t s, const struct command_attach *c)
{
    struct pack p = begin(r, s, COMMAND_ATTACH, command_attach_size(c));
    command_attach_encode(&p, c);
    return end(r, s, &p);
}

void rig_detach(struct rig *r, uint32_t s, const uint8_t id[SESSION_ID_SIZE], uint64_t connection)
{
    struct command_ack c = {.seq = connection};
    memcpy(c.session, id, SESSION_ID_SIZE);
    struct pack p = begin_as(r, s, COMMAND_DETACH, COMMAND_ACK_SIZE, 0);
    command_ack_encode(&p, &c);
    end(r, s, &p);
}

uint64_t rig_end(struct rig *r, uint32_t s, const uint8_t id[SESSION_ID_SIZE])
{
    struct command_ack c = {.seq = 0};
    memcpy(c.session, id, SESSION_ID_SIZE);
    struct pack p = begin(r, s, COMMAND_END, COMMAND_ACK_SIZE);
    command_ack_encode(&p, &c);
    return end(r, s, &p);
}

void rig_garbage(struct rig *r, uint32_t s)
{
    struct pack p = begin(r, s, COMMAND_APPEND, 64);
    for (int i = 0; i < 64; i++)
        pack_u8(&p, 0xee);
    end(r, s, &p);
}

bool rig_reply(struct rig *r, uint32_t s, struct rig_reply *ret)
{
    const void *record;
    size_t len;
    int got = ring_next(&r->rings.reply[s], &r->reply_pos[s], &record, &len);
    must(got >= 0);
    if (got == 0)
        return false;
    struct completion_header h;
    must(len >= sizeof(h));
    memcpy(&h, record, sizeof(h));
    *ret = (struct rig_reply){.id = h.id, .code = (enum code)h.code};
    struct unpack u = unpack_from((const char *)record + sizeof(h), len - sizeof(h));
    /* Completions say nothing of their kind; whoever asked knows which of these are meant. */
    if (len == sizeof(h) + 8) {
        memcpy(&ret->join, u.p, sizeof(ret->join));
        ret->item = (enum code)unpack_u32(&u);
    }
    if (len == sizeof(h) + COMPLETION_SESSION_SIZE)
        ret->created = u.p[SESSION_ID_SIZE] != 0;
    if (len == sizeof(h) + 8 + APPEND_RESULT_SIZE) {
        ret->item = (enum code)unpack_u32(&u);
        must(unpack_u32(&u) == 1);
        struct append_result one;
        must(append_result_decode(&u, &one) == 0);
        ret->seq = one.seq;
        ret->duplicate = one.duplicate != 0;
    }
    ring_release(&r->rings.reply[s], r->reply_pos[s]);
    return true;
}

static void read_control(struct rig_fed *f, struct str body)
{
    struct unpack u = unpack_from(body.p, body.n);
    f->control = unpack_u8(&u);
    switch ((enum feed_control)f->control) {
    case FEED_SESSION_END:
        must(feed_session_end_decode(&u, &f->ended) == 0);
        break;
    case FEED_SUBSCRIBE:
        must(feed_subscribe_decode(&u, &f->sub) == 0);
        break;
    case FEED_UNSUBSCRIBE:
        must(feed_unsubscribe_decode(&u, &f->sub) == 0);
        break;
    case FEED_FENCE:
        must(feed_fence_decode(&u, &f->fence) == 0);
        break;
    }
    must(unpack_done(&u));
}

bool rig_fed(struct rig *r, struct rig_fed *ret)
{
    memset(ret, 0, sizeof(*ret));
    int got = feed_next(&r->feed, &r->reader, &ret->rec, &r->body);
    must(got == 0 || got == 1);
    if (got == 1 && ret->rec.type == FEED_CONTROL)
        read_control(ret, buf_str(&r->body));
    if (got == 1 && ret->rec.type == FEED_MESSAGE) {
        const unsigned char *targets;
        must(feed_message_decode(buf_str(&r->body), &ret->message, &targets, &ret->ntargets) == 0);
        memcpy(&ret->target, targets, sizeof(ret->target));
    }
    return got == 1;
}
