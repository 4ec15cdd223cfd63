/* exchange_log - the one line that a request leaves in the log.
 *
 * The target goes through log_redact_target, the principal is named by what is not secret: the API
 * key's name, the session id, the token's subject.
 */
#include "common/clock.h"
#include "common/log.h"

#include "worker/exchange.h"
#include "worker/exchange_log.h"

static const char *const kind_names[] = {
    [PRINCIPAL_NONE] = "none",
    [PRINCIPAL_KEY] = "key",
    [PRINCIPAL_SESSION] = "session",
    [PRINCIPAL_BOOTSTRAP] = "bootstrap",
};

/* The principal's name; text is room for a session id. */
static struct str principal_name(const struct principal *p, char text[SESSION_ID_TEXT])
{
    if (p->kind == PRINCIPAL_KEY && p->key)
        return str_of(p->key->name);
    if (p->kind == PRINCIPAL_BOOTSTRAP)
        return str_of(p->claims.subject);
    if (p->kind != PRINCIPAL_SESSION)
        return str_make(NULL, 0);
    session_id_text(p->session, text);
    return str_of(text);
}

void exchange_log(const struct exchange *ex, bool gone)
{
    if (!log_enabled(LOG_INFO))
        return;
    char target[512], session[SESSION_ID_TEXT];
    uint64_t now = clock_boot_ms();
    uint64_t ms = now > ex->started_ms ? now - ex->started_ms : 0;
    log_event(LOG_INFO, "request", LOG_S("method", ex->method_text),
              LOG_Z("target", log_redact_target(ex->target, target, sizeof(target))),
              LOG_U("status", ex->out_status), LOG_Z("code", code_text(ex->out_code)),
              LOG_U("bytes", ex->out_bytes), LOG_U("ms", ms), LOG_B("gone", gone),
              LOG_Z("request_id", ex->request_id), LOG_Z("remote", ex->remote),
              LOG_Z("proto", ex->transport->proto), LOG_Z("tls", ex->tls ? ex->tls : ""),
              LOG_Z("principal", kind_names[ex->principal.kind]),
              LOG_S("name", principal_name(&ex->principal, session)));
}
