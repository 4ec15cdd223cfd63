/* code_table - every refusal: CODE(enum, HTTP status, stable code, title).
 *
 * Included several times with different definitions of CODE. The stable code is contract; titles
 * are prose. Status 0 marks codes that travel only inside per-item results.
 */
/* clang-format off */
CODE(BAD_REQUEST,            400, "bad_request",            "Bad request")
CODE(TOKEN_MISSING,          401, "token_missing",          "No credential was given")
CODE(TOKEN_MALFORMED,        401, "token_malformed",        "The credential cannot be parsed")
CODE(TOKEN_BAD_SIGNATURE,    401, "token_bad_signature",    "The signature does not match")
CODE(TOKEN_EXPIRED,          401, "token_expired",          "The token has expired")
CODE(TOKEN_NOT_YET_VALID,    401, "token_not_yet_valid",    "The token is not valid yet")
CODE(TOKEN_UNKNOWN_KEY,      401, "token_unknown_key",      "No such key")
CODE(TOKEN_REVOKED,          401, "token_revoked",          "The token was revoked")
CODE(FORBIDDEN,              403, "forbidden",              "Not allowed")
CODE(LIMIT_REACHED,          403, "limit_reached",          "A limit is reached")
CODE(SESSION_UNKNOWN,        404, "session_unknown",        "No such session")
CODE(SUBJECT_UNKNOWN,        404, "subject_unknown",        "No live session of that subject")
CODE(TOPIC_UNKNOWN,          404, "topic_unknown",          "No such topic")
CODE(NOT_FOUND,              404, "not_found",              "No such resource")
CODE(METHOD_NOT_ALLOWED,     405, "method_not_allowed",     "Method not allowed")
CODE(NOT_ACCEPTABLE,         406, "not_acceptable",         "Not acceptable")
CODE(TIMEOUT,                408, "timeout",                "The request took too long to arrive")
CODE(IDEMPOTENCY_CONFLICT,   409, "idempotency_conflict",   "Same key, different content")
CODE(SUPERSEDED,             409, "superseded",             "A newer connection took the session")
CODE(CURSOR_RESET,           410, "cursor_reset",           "The cursor is not of this store")
CODE(TOO_LARGE,              413, "too_large",              "Too large")
CODE(URI_TOO_LONG,           414, "uri_too_long",           "The request target is too long")
CODE(UNSUPPORTED_MEDIA_TYPE, 415, "unsupported_media_type", "Unsupported media type")
CODE(UPGRADE_REQUIRED,       426, "upgrade_required",       "Upgrade required")
CODE(RATE_LIMITED,           429, "rate_limited",           "Too many requests")
CODE(HEADERS_TOO_LARGE,      431, "headers_too_large",      "The header section is too large")
CODE(INTERNAL,               500, "internal",               "Internal error")
CODE(NOT_IMPLEMENTED,        501, "not_implemented",        "Not implemented")
CODE(UNAVAILABLE,            503, "unavailable",            "Not available now")
CODE(VERSION_NOT_SUPPORTED,  505, "version_not_supported",  "HTTP version not supported")
CODE(MAILBOX_FULL,           507, "mailbox_full",           "The mailbox is full")
CODE(STORE_FULL,             507, "store_full",             "The store is full")
/* clang-format on */
