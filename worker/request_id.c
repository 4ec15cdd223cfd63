/* request_id - honour, derive or make the name of a request.
 *
 * Made ids are a SplitMix64 sequence from a random start: 64 well-mixed bits that do not repeat
 * within a process, without a system call for each.
 */
#include "worker/request_id.h"
#include "common/ids.h"
#include "worker/exchange.h"

bool request_id_valid(struct str s)
{
    if (s.n < 1 || s.n > REQUEST_ID_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool alnum = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!alnum && (c == '\0' || !strchr("._~+/=:-", c)))
            return false;
    }
    return true;
}

/* n lower-case hex digits at p; *ret_zero tells whether all are '0'. */
static bool hex_run(const char *p, size_t n, bool *ret_zero)
{
    bool zero = true;
    for (size_t i = 0; i < n; i++) {
        if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f')))
            return false;
        zero = zero && p[i] == '0';
    }
    *ret_zero = zero;
    return true;
}

bool traceparent_valid(struct str s)
{
    bool zero;
    if (s.n < 55 || !hex_run(s.p, 2, &zero) || s.p[2] != '-')
        return false;
    bool version_00 = zero;
    if (memcmp(s.p, "ff", 2) == 0 || (version_00 ? s.n != 55 : s.n > 55 && s.p[55] != '-'))
        return false;
    if (!hex_run(s.p + TRACEPARENT_TRACE_AT, TRACEPARENT_TRACE_LEN, &zero) || zero)
        return false;
    if (s.p[35] != '-' || !hex_run(s.p + 36, 16, &zero) || zero)
        return false;
    return s.p[52] == '-' && hex_run(s.p + 53, 2, &zero);
}

void request_id_make(uint64_t *state, char ret[REQUEST_ID_MADE + 1])
{
    while (*state == 0)
        *state = ids_random_u64();
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    hex_encode(&z, sizeof(z), ret);
}
