/* h1_fault - what is wrong with a request, as an enum, a code and a reason. Pure. Worker process.
 */
#ifndef WORKER_H1_FAULT_H
#define WORKER_H1_FAULT_H

#include "common/code.h"

enum h1_fault {
    H1_FINE = 0,
#define FAULT(name, code, reason, detail) H1_##name,
#include "worker/h1_fault_table.h"
#undef FAULT
    H1_FAULTS
};

struct exchange;

enum code h1_fault_code(enum h1_fault f);
const char *h1_fault_reason(enum h1_fault f); /* static; "fine" for H1_FINE */
/* Answers with the fault's problem document, `reason` in it. */
void h1_fault_answer(struct exchange *ex, enum h1_fault f);

#endif
