/* h1_fault_table - every way an HTTP request can be wrong before any handler sees it.
 *
 *   FAULT(enum, code, reason, detail)
 *
 * reason is the stable member `reason` of the problem document, detail is prose. In HTTP/1 all of
 * them end the connection: where one request is in doubt, so is the beginning of the next (RFC 9112
 * section 11.2). In HTTP/2, which shares the rows that it can meet, they end their stream.
 */
/* clang-format off */
FAULT(BARE_LF,          BAD_REQUEST,           "bare_lf",            "a line ends with LF alone")
FAULT(BARE_CR,          BAD_REQUEST,           "bare_cr",            "a CR that does not end a line")
FAULT(CONTROL,          BAD_REQUEST,           "control_character",  "a control character in the header section")
FAULT(REQUEST_LINE,     BAD_REQUEST,           "request_line",       "the request line is not `method SP target SP HTTP/x.y`")
FAULT(TARGET,           BAD_REQUEST,           "target",             "the target is not a path, an http URI, or `*` of OPTIONS")
FAULT(TARGET_LONG,      URI_TOO_LONG,          "target_length",      "the target is longer than half of limits.header")
FAULT(METHOD,           NOT_IMPLEMENTED,       "method",             "the method is not known here")
FAULT(CONNECT,          NOT_IMPLEMENTED,       "connect",            "this is no proxy")
FAULT(VERSION_09,       VERSION_NOT_SUPPORTED, "http_0_9",           "a request line without a version")
FAULT(VERSION,          VERSION_NOT_SUPPORTED, "version",            "only HTTP/1.0 and HTTP/1.1 are spoken here")
FAULT(PREFACE,          VERSION_NOT_SUPPORTED, "http_2_preface",     "HTTP/2 is not spoken on this connection")
FAULT(HEADERS_SIZE,     HEADERS_TOO_LARGE,     "header_size",        "the header section is larger than limits.header")
FAULT(HEADERS_COUNT,    HEADERS_TOO_LARGE,     "header_count",       "more than 100 header lines")
FAULT(HEADER_NAME,      BAD_REQUEST,           "header_name",        "a header line without a valid name and colon")
FAULT(HEADER_SPACE,     BAD_REQUEST,           "space_before_colon", "white space between a header's name and its colon")
FAULT(OBS_FOLD,         BAD_REQUEST,           "obs_fold",           "a header line that begins with white space")
FAULT(HOST_MISSING,     BAD_REQUEST,           "host_missing",       "an HTTP/1.1 request without Host")
FAULT(HOST_TWICE,       BAD_REQUEST,           "host_twice",         "more than one Host")
FAULT(HOST_INVALID,     BAD_REQUEST,           "host_invalid",       "Host is no host")
FAULT(HOST_DIFFERS,     BAD_REQUEST,           "host_differs",       "Host is not what :authority says")
FAULT(LENGTH_TWICE,     BAD_REQUEST,           "length_twice",       "more than one Content-Length")
FAULT(LENGTH_INVALID,   BAD_REQUEST,           "length_invalid",     "Content-Length is not a decimal number")
FAULT(LENGTH_AND_TE,    BAD_REQUEST,           "length_and_encoding", "Content-Length together with Transfer-Encoding")
FAULT(TE_UNKNOWN,       NOT_IMPLEMENTED,       "encoding_unknown",   "the only Transfer-Encoding known here is chunked")
FAULT(TE_TWICE,         BAD_REQUEST,           "encoding_twice",     "more than one Transfer-Encoding")
FAULT(TE_HTTP10,        BAD_REQUEST,           "encoding_http_1_0",  "Transfer-Encoding in an HTTP/1.0 request")
FAULT(UPGRADE_BODY,     BAD_REQUEST,           "upgrade_body",       "a request to upgrade with a body")
FAULT(EXPECT,           EXPECTATION_FAILED,    "expect",             "the only expectation known here is 100-continue")
FAULT(CHUNK_SIZE,       BAD_REQUEST,           "chunk_size",         "a chunk without a valid size")
FAULT(CHUNK_EXTENSION,  BAD_REQUEST,           "chunk_extension",    "chunk extensions that are too long or malformed")
FAULT(CHUNK_END,        BAD_REQUEST,           "chunk_end",          "chunk data that does not end with CRLF")
FAULT(TRAILER,          BAD_REQUEST,           "trailer",            "trailer lines that are too long or malformed")
FAULT(BODY_SIZE,        TOO_LARGE,             "body_size",          "the body is larger than this request may have")
FAULT(BODIES,           UNAVAILABLE,           "bodies",             "the bodies of all requests together have reached limits.bodies")
FAULT(HEAD_TIMEOUT,     TIMEOUT,               "head_timeout",       "the header section took longer than limits.head_timeout")
FAULT(BODY_TIMEOUT,     TIMEOUT,               "body_timeout",       "the body took longer than limits.body_timeout")
FAULT(MEMORY,           INTERNAL,              "memory",             "out of memory")
/* clang-format on */
