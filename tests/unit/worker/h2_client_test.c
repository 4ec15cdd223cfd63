/* h2 against nghttp2's own client session: its windows, its HPACK, many streams in both directions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/worker/h2_harness.h"

#define REQUESTS 60
#define BODY_MAX 200000

/* One request of the client, whose body is a pattern of its own. */
struct upload {
    size_t size, sent, got;
    int32_t id;
    int status;
    bool wrong, closed;
    uint32_t error;
};

static nghttp2_session *client;
static struct upload uploads[REQUESTS];
static size_t open_uploads, most_open;

static uint8_t byte_of(const struct upload *u, size_t at)
{
    return (uint8_t)(at * 7 + at / 251 + u->size);
}

static ssize_t read_upload(nghttp2_session *session, int32_t id, uint8_t *buf, size_t room,
                           uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    (void)session;
    (void)id;
    (void)arg;
    struct upload *u = source->ptr;
    size_t n = u->size - u->sent < room ? u->size - u->sent : room;
    for (size_t i = 0; i < n; i++)
        buf[i] = byte_of(u, u->sent + i);
    u->sent += n;
    if (u->sent == u->size)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static struct upload *upload_of(int32_t id)
{
    for (size_t i = 0; i < REQUESTS; i++) {
        if (uploads[i].id == id)
            return &uploads[i];
    }
    return NULL;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *arg)
{
    (void)session;
    (void)flags;
    (void)arg;
    struct upload *u = upload_of(frame->hd.stream_id);
    if (name_len == 7 && memcmp(name, ":status", 7) == 0 && value_len == 3)
        u->status = (value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0');
    return 0;
}

static int on_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                    size_t n, void *arg)
{
    (void)session;
    (void)flags;
    (void)arg;
    struct upload *u = upload_of(id);
    for (size_t i = 0; i < n; i++)
        u->wrong = u->wrong || data[i] != byte_of(u, u->got + i);
    u->got += n;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *arg)
{
    (void)session;
    (void)arg;
    struct upload *u = upload_of(id);
    u->closed = true;
    u->error = error;
    open_uploads--;
    return 0;
}

static int up(void **state)
{
    if (h2_up_silent(state) < 0)
        return -1;
    nghttp2_session_callbacks *cb;
    if (nghttp2_session_callbacks_new(&cb) != 0)
        return -1;
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    int r = nghttp2_session_client_new(&client, cb, NULL);
    nghttp2_session_callbacks_del(cb);
    memset(uploads, 0, sizeof(uploads));
    open_uploads = most_open = 0;
    return r != 0 ? -1 : nghttp2_submit_settings(client, NGHTTP2_FLAG_NONE, NULL, 0);
}

static int down(void **state)
{
    nghttp2_session_del(client);
    return h2_down(state);
}

static void submit(struct upload *u, const char *path, size_t size)
{
    const nghttp2_nv fields[] = {
#define FIELD(n, v) {(uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), strlen(n), strlen(v), 0}
        FIELD(":method", "POST"), FIELD(":scheme", "http"),       FIELD(":authority", "h"),
        FIELD(":path", path),     FIELD("user-agent", "nghttp2"), FIELD("accept", "text/plain"),
#undef FIELD
    };
    const nghttp2_data_provider body = {.source.ptr = u, .read_callback = read_upload};
    u->size = size;
    u->id = nghttp2_submit_request(client, NULL, fields, sizeof(fields) / sizeof(fields[0]), &body,
                                   NULL);
    assert_true(u->id > 0);
    open_uploads++;
    most_open = open_uploads > most_open ? open_uploads : most_open;
}

/* Bytes to and fro until nothing moves; at most `most` bytes at a time, so that frames are cut. */
static void pump(size_t most)
{
    bool moved;
    do {
        moved = false;
        const uint8_t *p;
        ssize_t n;
        for (n = nghttp2_session_mem_send(client, &p); n > 0;
             n = nghttp2_session_mem_send(client, &p)) {
            moved = true;
            for (ssize_t at = 0; at < n; at += (ssize_t)most)
                h2_send(p + at, (size_t)(n - at) < most ? (size_t)(n - at) : most);
        }
        assert_int_equal(n, 0);
        h2_turn_unread();
        client_read();
        if (H.got.len) {
            moved = true;
            assert_int_equal(nghttp2_session_mem_recv(client, H.got.data, H.got.len),
                             (ssize_t)H.got.len);
            buf_reset(&H.got);
        }
    } while (moved);
}

static void test_bodies_both_ways_at_once(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (size_t i = 0; i < REQUESTS; i++) {
        seed = seed * 1103515245 + 12345;
        submit(&uploads[i], "/echo", i % 4 ? seed % 3000 : seed % BODY_MAX);
    }
    assert_int_equal(most_open, REQUESTS);
    pump(5000);
    for (size_t i = 0; i < REQUESTS; i++) {
        assert_true(uploads[i].closed);
        assert_int_equal(uploads[i].error, NGHTTP2_NO_ERROR);
        assert_int_equal(uploads[i].status, 200);
        assert_int_equal(uploads[i].got, uploads[i].size);
        assert_false(uploads[i].wrong);
    }
    assert_int_equal(H.sent, REQUESTS);
    /* The server gave the connection's window back, but for what is not worth a frame yet. */
    assert_in_range(nghttp2_session_get_remote_window_size(client), H2_CONNECTION_WINDOW / 2,
                    H2_CONNECTION_WINDOW);
}

static void test_bodies_beyond_memory_still_all_arrive(void **state)
{
    (void)state;
    H.conf.limit_request = BODY_MAX; /* for 60 bodies of that size */
    for (size_t i = 0; i < REQUESTS; i++)
        submit(&uploads[i], "/echo", BODY_MAX - i);
    pump(16384);
    for (size_t i = 0; i < REQUESTS; i++) {
        assert_true(uploads[i].closed);
        assert_int_equal(uploads[i].got, uploads[i].size);
        assert_false(uploads[i].wrong);
    }
}

static void test_refused_bodies_do_not_hold_up_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < REQUESTS; i++)
        submit(&uploads[i], i % 2 ? "/small" : "/echo", 100000);
    pump(16384);
    for (size_t i = 0; i < REQUESTS; i++) {
        assert_true(uploads[i].closed);
        assert_int_equal(uploads[i].status, i % 2 ? 413 : 200);
        if (i % 2 == 0)
            assert_int_equal(uploads[i].got, uploads[i].size);
    }
    submit(&uploads[0], "/echo", 10);
    pump(16384);
    assert_int_equal(H.metrics->v[METRIC_CLOSED_ABUSE], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bodies_both_ways_at_once, up, down),
        cmocka_unit_test_setup_teardown(test_bodies_beyond_memory_still_all_arrive, up, down),
        cmocka_unit_test_setup_teardown(test_refused_bodies_do_not_hold_up_others, up, down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
