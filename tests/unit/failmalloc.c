/* failmalloc - let the n-th allocation fail, once. Linked into every unit test. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/failmalloc.h"

static unsigned long countdown; /* allocations until the one that fails, itself included; 0: none */
static bool failed;

/* What the linker makes of --wrap: __wrap_x is called for x, __real_x is x. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t count, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t count, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);

static bool fails(void)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    failed = true;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
    return fails() ? NULL : __real_calloc(count, n);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_reallocarray(void *p, size_t count, size_t n)
{
    return fails() ? NULL : __real_reallocarray(p, count, n);
}

char *__wrap_strdup(const char *s)
{
    return fails() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
    return fails() ? NULL : __real_strndup(s, n);
}

void *__wrap_aligned_alloc(size_t alignment, size_t n)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, n);
}

void failmalloc_arm(unsigned long n)
{
    countdown = n;
    failed = false;
}

bool failmalloc_disarm(void)
{
    bool was = failed;
    failmalloc_arm(0);
    return was;
}

unsigned long failmalloc_each(int (*run)(void *arg), void *arg)
{
    for (unsigned long n = 1;; n++) {
        failmalloc_arm(n);
        int rc = run(arg);
        if (!failmalloc_disarm()) {
            assert_int_equal(rc, 0);
            return n - 1;
        }
        assert_int_equal(rc, -ENOMEM);
    }
}
