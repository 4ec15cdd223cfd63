/* conf_helper - loads a text as a configuration file and keeps the report as a string. */
#ifndef TESTS_CONF_HELPER_H
#define TESTS_CONF_HELPER_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/conf.h"

#define PATH "/etc/r/test.conf"
#define LISTEN "listen \"127.0.0.1:8080\" { }\n"

struct loaded {
    int rc;
    struct conf *conf; /* NULL unless rc is 0 */
    char *report;
};

static inline struct loaded load_n(const char *text, size_t n, const char *path)
{
    struct loaded l = {0};
    struct buf report;

    buf_init(&report, 1 << 20);
    l.rc = conf_load(str_make(text, n), path, &l.conf, &report);
    assert_true((l.rc == 0) == (l.conf != NULL));
    assert_true((l.rc == -EINVAL) == (report.len > 0));
    assert_int_equal(buf_append_c(&report, 0), 0);
    l.report = strdup((char *)report.data);
    buf_free(&report);
    return l;
}

static inline struct loaded load(const char *text)
{
    return load_n(text, strlen(text), PATH);
}

static inline void unload(struct loaded *l)
{
    conf_free(l->conf);
    free(l->report);
    *l = (struct loaded){0};
}

static inline size_t lines_of(const char *report)
{
    size_t n = 0;

    for (; *report; report++)
        n += *report == '\n';
    return n;
}

/* The whole report, line by line; PATH and the colon before each line are left out. */
static inline void expect_report(const char *text, const char *const *lines, size_t n)
{
    struct loaded l = load(text);
    char *p = l.report;

    for (size_t i = 0; i < n; i++) {
        size_t len = strcspn(p, "\n");
        if (len < sizeof(PATH) || strncmp(p, PATH ":", sizeof(PATH)) != 0 ||
            len - sizeof(PATH) != strlen(lines[i]) ||
            strncmp(p + sizeof(PATH), lines[i], strlen(lines[i])) != 0)
            fail_msg("\n%s\nreports\n%sline %zu should be\n%s", text, l.report, i + 1, lines[i]);
        p += len + 1;
    }
    if (*p)
        fail_msg("\n%s\nreports more:\n%s", text, p);
    unload(&l);
}

#define REPORTS(text, ...)                                                                         \
    do {                                                                                           \
        const char *const lines_[] = {__VA_ARGS__};                                                \
        expect_report(text, lines_, sizeof(lines_) / sizeof(lines_[0]));                           \
    } while (0)

static inline void expect_good(const char *text)
{
    struct loaded l = load(text);

    if (l.rc)
        fail_msg("\n%s\nreports\n%s", text, l.report);
    unload(&l);
}

#endif
