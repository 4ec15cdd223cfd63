/* h1_fault - the fault table and its problem documents. */
#include "common/log.h"

#include "worker/exchange.h"
#include "worker/h1_fault.h"

static const struct {
    enum code code;
    const char *reason, *member, *detail;
} faults[H1_FAULTS] = {
    [H1_FINE] = {CODE_OK, "fine", "", ""},
#define FAULT(name, code, reason, detail)                                                          \
    [H1_##name] = {CODE_##code, reason,                                                            \
                   CODE_##code == CODE_UNAVAILABLE ? ",\"outcome\":\"none\",\"reason\":\"" reason  \
                                                     "\""                                          \
                                                   : ",\"reason\":\"" reason "\"",                 \
                   detail},
#include "worker/h1_fault_table.h"
#undef FAULT
};

enum code h1_fault_code(enum h1_fault f)
{
    must(f < H1_FAULTS);
    return faults[f].code;
}

const char *h1_fault_reason(enum h1_fault f)
{
    must(f < H1_FAULTS);
    return faults[f].reason;
}

void h1_fault_answer(struct exchange *ex, enum h1_fault f)
{
    must(f > H1_FINE && f < H1_FAULTS);
    exchange_problem_with(ex, faults[f].code, 0, str_of(faults[f].member), faults[f].detail);
}
