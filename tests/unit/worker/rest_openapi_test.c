/* rest_openapi_test - the route table and the description of the API name the same operations. */
#include "rest_harness.h"

static const char *const methods[] = {"get", "post", "put", "patch", "delete"};
static const enum method method_ids[] = {METHOD_GET, METHOD_POST, METHOD_PUT, METHOD_PATCH,
                                         METHOD_DELETE};
#define NMETHODS (sizeof(methods) / sizeof(methods[0]))

static struct json_value member(struct json_value object, const char *name)
{
    struct json_value v = {.raw = {NULL, 0}};
    assert_int_equal(json_pick(object, &name, 1, &v), 0);
    return v;
}

/* "/v1/sessions/{session}/ack" as the table writes it: "/v1/sessions/{}/ack". */
static void pattern_of(struct str path, char *to, size_t size)
{
    size_t n = 0;
    bool inside = false;
    for (size_t i = 0; i < path.n; i++) {
        inside = inside && path.p[i] != '}';
        if (!inside && n + 1 < size)
            to[n++] = path.p[i];
        inside = inside || path.p[i] == '{';
    }
    to[n] = '\0';
}

static bool in_table(enum method method, const char *pattern)
{
    size_t n;
    const struct rest_route *routes = rest_routes(&n);
    for (size_t i = 0; i < n; i++)
        if (routes[i].method == method && strcmp(routes[i].pattern, pattern) == 0)
            return true;
    return false;
}

static void all_that_is_served_is_described_and_the_other_way_round(void **state)
{
    (void)state;
    static char document[1 << 20];
    say("GET /openapi.json", NULL, NULL);
    assert_int_equal(R.ex.out_status, 200);
    assert_true(R.ex.out_body.len < sizeof(document));
    memcpy(document, R.ex.out_body.data, R.ex.out_body.len);
    struct json_value root, paths, path;
    assert_int_equal(json_check(str_make(document, R.ex.out_body.len), &root), 0);
    paths = member(root, "paths");
    assert_int_equal(paths.type, JSON_OBJECT);

    size_t served, described = 0;
    rest_routes(&served);
    struct json_iter it;
    struct str name;
    json_iter_begin(&it, paths);
    while (json_next_member(&it, &name, &path)) {
        char pattern[256];
        pattern_of(name, pattern, sizeof(pattern));
        for (size_t i = 0; i < NMETHODS; i++) {
            if (!member(path, methods[i]).raw.p)
                continue;
            described++;
            if (!in_table(method_ids[i], pattern))
                fail_msg("%s %s is described, but not served", methods[i], pattern);
        }
    }
    assert_int_equal(described, served);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_that_is_served_is_described_and_the_other_way_round,
                                        rest_open, rest_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
