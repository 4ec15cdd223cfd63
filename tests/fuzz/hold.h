/* hold - what must be true of every input; the fuzzer's report says what was not. */
#ifndef TESTS_FUZZ_HOLD_H
#define TESTS_FUZZ_HOLD_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static inline void hold(bool cond, const char *what)
{
    if (cond)
        return;
    fprintf(stderr, "does not hold: %s\n", what);
    abort();
}
#define HOLD(cond) hold((cond), #cond)

#endif
