/* exchange_fake - an exchange on a transport that only notes what it is told. */
#ifndef TESTS_UNIT_WORKER_EXCHANGE_FAKE_H
#define TESTS_UNIT_WORKER_EXCHANGE_FAKE_H

#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "worker/rest.h"
#include "worker/worker.h"

#define FAKE_UNUSED __attribute__((unused))

static struct {
    struct worker w;
    struct conf conf;
    struct metric_block *metrics;
    struct exchange ex;
    struct header headers[8];
    int answers, begins, writes, ends, parks, heads, bodies, gone, sent, handed;
    bool may_upgrade;
} F;

static void fake_answer(struct exchange *ex)
{
    (void)ex;
    F.answers++;
}

static void fake_stream_begin(struct exchange *ex)
{
    (void)ex;
    F.begins++;
}

static int fake_stream_write(struct exchange *ex, struct str bytes)
{
    (void)ex;
    (void)bytes;
    F.writes++;
    return 0;
}

static void fake_stream_end(struct exchange *ex)
{
    (void)ex;
    F.ends++;
}

static void fake_parked(struct exchange *ex)
{
    (void)ex;
    F.parks++;
}

static bool fake_may_upgrade(const struct exchange *ex)
{
    (void)ex;
    return F.may_upgrade;
}

static void fake_hand_over(struct exchange *ex)
{
    (void)ex;
    F.handed++;
}

static const struct exchange_transport fake_transport = {
    .proto = "FAKE/1.0",
    .answer = fake_answer,
    .stream_begin = fake_stream_begin,
    .stream_write = fake_stream_write,
    .stream_end = fake_stream_end,
    .parked = fake_parked,
    .may_upgrade = fake_may_upgrade,
    .hand_over = fake_hand_over,
};

void rest_on_head(struct exchange *ex)
{
    (void)ex;
    F.heads++;
}

void rest_on_body(struct exchange *ex)
{
    (void)ex;
    F.bodies++;
}

FAKE_UNUSED static void add_request_header(const char *name, const char *value)
{
    F.headers[F.ex.nheaders++] = (struct header){str_of(name), str_of(value)};
}

FAKE_UNUSED static void fresh_exchange(void)
{
    exchange_free(&F.ex);
    exchange_init(&F.ex, &F.w, &fake_transport, NULL);
    F.ex.headers = F.headers;
    F.ex.method_text = STR("GET");
    F.ex.target = STR("/v1/x?access_token=secret");
}

FAKE_UNUSED static int fake_up(void **state)
{
    (void)state;
    memset(&F, 0, sizeof(F));
    log_init(LOG_ERROR, 2, "test", -1);
    F.conf.limit_header = 16384;
    F.conf.limit_request = 1 << 20;
    F.conf.limit_bodies = 64 << 20;
    F.metrics = aligned_alloc(64, sizeof(*F.metrics));
    if (!F.metrics)
        return -1;
    memset(F.metrics, 0, sizeof(*F.metrics));
    F.w.conf = &F.conf;
    F.w.metrics = F.metrics;
    fresh_exchange();
    return 0;
}

FAKE_UNUSED static int fake_down(void **state)
{
    (void)state;
    exchange_free(&F.ex);
    free(F.metrics);
    return 0;
}

FAKE_UNUSED static const char *text_of(const struct buf *b);

/* The header lines of an answer but those that all have, which stand at their end. */
FAKE_UNUSED static const char *own_lines(void)
{
    static char own[4096];
    const char *all = text_of(&F.ex.out_head), *common = strstr(all, EXCHANGE_BROWSER_LINES);
    assert_non_null(common);
    assert_string_equal(common, EXCHANGE_BROWSER_LINES);
    snprintf(own, sizeof(own), "%.*s", (int)(common - all), all);
    return own;
}

/* A NUL-terminated view of a buffer; valid until the next call. */
FAKE_UNUSED static const char *text_of(const struct buf *b)
{
    static char text[8192];
    size_t n = b->len < sizeof(text) - 1 ? b->len : sizeof(text) - 1;
    if (n)
        memcpy(text, b->data, n);
    text[n] = '\0';
    return text;
}

#endif
