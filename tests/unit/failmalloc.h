/* failmalloc - let the n-th allocation fail, once.
 *
 * Every unit test is linked with --wrap (see the Makefile), so that malloc, calloc, realloc,
 * reallocarray, strdup, strndup and aligned_alloc, as called by the project's code and by the test,
 * pass through here. Calls made inside shared libraries do not; a library with hooks is given ours:
 * `cJSON_InitHooks(&(cJSON_Hooks){malloc, free})` in a test hands it the wrapped malloc.
 * An allocation that was made to fail returns NULL with errno ENOMEM; the ones after it work again.
 */
#ifndef TESTS_UNIT_FAILMALLOC_H
#define TESTS_UNIT_FAILMALLOC_H

#include <stdbool.h>

void failmalloc_arm(unsigned long n); /* the n-th allocation from now (from 1) fails */
bool failmalloc_disarm(void);         /* true when an allocation was made to fail since the arm */

/* Runs run(arg) with its first, second, ... allocation failing until none is left to fail. Each run
 * with a failure must return -ENOMEM, the last one 0; run cleans up after itself, so that leaks are
 * the sanitizer's to find. Returns the number of allocations that were made to fail, which the test
 * should hold to be more than 0. */
unsigned long failmalloc_each(int (*run)(void *arg), void *arg);

#endif
