/* tls_fault_table - the ways a handshake can fail, as operators count them.
 *
 *   FAULT(enum, reason)
 *
 * Each is a row TLS_FAILED_<enum> of the metric table, whose label is the reason, and the reason in
 * the log.
 */
/* clang-format off */
FAULT(TIMEOUT,  "timeout")   /* longer than limits.handshake_timeout */
FAULT(GONE,     "gone")      /* the peer left in the middle */
FAULT(CLEAR,    "clear")     /* clear text on a TLS listener */
FAULT(VERSION,  "version")   /* no version in common */
FAULT(CIPHER,   "cipher")    /* no cipher, group or signature in common */
FAULT(ALPN,     "alpn")      /* no protocol in common */
FAULT(ALERT,    "alert")     /* the peer said no, to the certificate for instance */
FAULT(GARBAGE,  "garbage")   /* not TLS, or broken */
FAULT(INTERNAL, "internal")  /* memory, or OpenSSL itself */
/* clang-format on */
