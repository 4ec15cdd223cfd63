/* metric: sums over blocks, and a text that a strict reader of the exposition format accepts. */
#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/metric.h"
#include "tests/unit/failmalloc.h"

static struct metric_block blocks[3];
static const struct metric_block *const all[3] = {&blocks[0], &blocks[1], &blocks[2]};

static int setup(void **state)
{
    (void)state;
    memset(blocks, 0, sizeof(blocks));
    return 0;
}

/* The text as a string; the caller frees the buffer. */
static const char *text_of(struct buf *b)
{
    buf_init(b, 1 << 20);
    assert_int_equal(metric_text(all, 3, b), 0);
    assert_int_equal(buf_append_c(b, '\0'), 0);
    return (const char *)b->data;
}

static void test_sums(void **state)
{
    (void)state;
    metric_add(&blocks[0], METRIC_ACCEPTED, 3);
    metric_add(&blocks[2], METRIC_ACCEPTED, 4);
    metric_add(&blocks[2], METRIC_ACCEPTED, 1);
    metric_add(&blocks[0], METRIC_CONNECTIONS, 2);
    metric_add(&blocks[1], METRIC_CONNECTIONS, 5);
    metric_sub(&blocks[1], METRIC_CONNECTIONS, 3);
    metric_set(&blocks[1], METRIC_LAST_SEQ, 77);
    assert_int_equal(metric_sum(all, 3, METRIC_ACCEPTED), 8);
    assert_int_equal(metric_sum(all, 1, METRIC_ACCEPTED), 3);
    assert_int_equal(metric_sum(all, 0, METRIC_ACCEPTED), 0);
    assert_int_equal(metric_sum(all, 3, METRIC_CONNECTIONS), 4);
    assert_int_equal(metric_sum(all, 3, METRIC_LAST_SEQ), 77);
}

static void test_only_gauges_are_zeroed(void **state)
{
    (void)state;
    metric_add(&blocks[0], METRIC_ACCEPTED, 3);
    metric_add(&blocks[0], METRIC_CONNECTIONS, 2);
    metric_add(&blocks[0], METRIC_POLLS_PARKED, 2);
    metric_set(&blocks[0], METRIC_LAST_SEQ, 77);
    metric_zero_gauges(&blocks[0]);
    assert_int_equal(metric_sum(all, 1, METRIC_CONNECTIONS), 0);
    assert_int_equal(metric_sum(all, 1, METRIC_POLLS_PARKED), 0);
    assert_int_equal(metric_sum(all, 1, METRIC_ACCEPTED), 3);
    assert_int_equal(metric_sum(all, 1, METRIC_LAST_SEQ), 77);
}

static void test_values_and_kinds_in_the_text(void **state)
{
    (void)state;
    struct buf b;
    metric_add(&blocks[0], METRIC_REFUSED_FDS, 6);
    metric_add(&blocks[1], METRIC_REFUSED_FDS, UINT64_MAX - 6);
    metric_set(&blocks[1], METRIC_LAST_SEQ, 77);
    metric_add(&blocks[1], METRIC_CONNECTIONS, 1);
    const char *text = text_of(&b);
    assert_non_null(
        strstr(text, "\nrestante_refused_total{reason=\"fds\"} 18446744073709551615\n"));
    assert_non_null(strstr(text, "\nrestante_refused_total{reason=\"limit\"} 0\n"));
    assert_non_null(strstr(text, "# TYPE restante_refused_total counter\n"));
    assert_non_null(strstr(text, "# TYPE restante_last_seq gauge\nrestante_last_seq 77\n"));
    assert_non_null(strstr(text, "# TYPE restante_connections gauge\nrestante_connections 1\n"));
    buf_free(&b);
}

/* Nothing, or {name="value",...}. */
static void assert_labels(const char *at)
{
    if (*at == '\0')
        return;
    assert_int_equal(*at, '{');
    do {
        char label[64], of[64];
        int end = 0;
        at++;
        assert_int_equal(sscanf(at, "%63[a-z]=\"%63[a-z0-9_.]\"%n", label, of, &end), 2);
        assert_true(end > 0);
        at += end;
    } while (*at == ',');
    assert_string_equal(at, "}");
}

static void note(char *seen, size_t size, const char *what)
{
    assert_null(strstr(seen, what));
    assert_true(strlen(seen) + strlen(what) < size);
    strcat(seen, what);
}

/* The lines after "# HELP": a name's HELP and TYPE come once, before all of its samples, and the
 * samples of one name stand together; no sample comes twice. */
static void test_shape(void **state)
{
    (void)state;
    struct buf b;
    char *line, *rest;
    char name[128] = "", seen[32768] = "";
    int samples = 0;
    text_of(&b);
    for (line = strtok_r((char *)b.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char key[128], kind[16], what[200];
        int end = 0;
        if (sscanf(line, "# HELP %127s %n", key, &end) == 1 && end > 0) {
            assert_true(strlen(line + end) > 0);
            assert_null(strpbrk(line + end, "\\\n"));
            snprintf(what, sizeof(what), "|%s|", key);
            note(seen, sizeof(seen), what);
            strcpy(name, key);
            line = strtok_r(NULL, "\n", &rest);
            assert_int_equal(sscanf(line, "# TYPE %127s %15s%n", key, kind, &end), 2);
            assert_string_equal(key, name);
            assert_int_equal(line[end], '\0');
            bool total = strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0;
            assert_string_equal(kind, total ? "counter" : "gauge");
            continue;
        }
        size_t n = strspn(line, "abcdefghijklmnopqrstuvwxyz_0123456789");
        assert_int_equal(n, strlen(name));
        assert_memory_equal(line, name, n);
        char *value = strrchr(line, ' ');
        assert_non_null(value);
        assert_true(isdigit((unsigned char)value[1]));
        *value = '\0';
        assert_labels(line + n);
        snprintf(what, sizeof(what), "<%s>", line);
        note(seen, sizeof(seen), what);
        samples++;
    }
    assert_int_equal(samples, METRIC_COUNT);
    buf_free(&b);
}

static void test_ceiling(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    assert_int_equal(metric_text(all, 3, &b), -EMSGSIZE);
    buf_free(&b);
}

static int render(void *arg)
{
    struct buf b;
    (void)arg;
    buf_init(&b, 1 << 20);
    int rc = metric_text(all, 3, &b);
    buf_free(&b);
    return rc;
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_true(failmalloc_each(render, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_sums, setup),
        cmocka_unit_test_setup(test_only_gauges_are_zeroed, setup),
        cmocka_unit_test_setup(test_values_and_kinds_in_the_text, setup),
        cmocka_unit_test_setup(test_shape, setup),
        cmocka_unit_test_setup(test_ceiling, setup),
        cmocka_unit_test_setup(test_no_memory, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
