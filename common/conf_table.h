/* conf_table - every scalar setting, once.
 *
 *   CONF(field, TYPE, section, name, default, min, max, APPLIES, help)
 *
 * TYPE: PATH (relative ones start at the file's directory; an empty default may be set empty) |
 * BOOL | COUNT | SIZE | RING (a size, rounded up to a power of two) | DURATION | ENUM (choices are
 * in min as "a|b", max unused) | WORKERS (a count, or auto).
 * The table makes struct conf's fields, the parser, its range checks, --show-config, the sample
 * file and the reload diff. section "" is the top level. Values are texts in the units of
 * common/units.h; a min or max of "" is no bound. APPLIES: LIVE (in place), ROLLING (workers
 * replaced one by one), RESTART.
 */
/* clang-format off */
CONF(state_dir,        PATH,     "",        "state_dir",        "var/lib",  "",      "",     RESTART, "Keys, locks, the store; created 0700.")
CONF(run_dir,          PATH,     "",        "run_dir",          "var/run",  "",      "",     RESTART, "Pid file and admin socket.")
CONF(workers,          WORKERS,  "",        "workers",          "auto",     "1",     "64",   ROLLING, "Worker processes; auto is one per core.")

CONF(store_durability, ENUM,     "store",   "durability",       "disk",     "disk|memory", "", RESTART, "disk: an accepted message survives power loss. memory: path on tmpfs, survives any kill, not a reboot.")
CONF(store_path,       PATH,     "store",   "path",             "",         "",      "",     RESTART, "Directory of the store; empty is state_dir/store.")
CONF(store_map_size,   SIZE,     "store",   "map_size",         "64G",      "16M",   "16T",  RESTART, "Sparse map; the store's largest size.")

CONF(dedup_window,     DURATION, "publish", "dedup_window",     "10m",      "1s",    "7d",   LIVE,    "How long an Idempotency-Key is remembered.")
CONF(publish_timeout,  DURATION, "publish", "timeout",          "5s",       "100ms", "60s",  LIVE,    "How long a command waits for the writer before 503.")

CONF(session_ttl,      DURATION, "session", "ttl",              "10m",      "1s",    "365d", LIVE,    "Idle life of a session that names none.")
CONF(session_max_ttl,  DURATION, "session", "max_ttl",          "30d",      "1s",    "365d", LIVE,    "Longest ttl a client may ask for.")
CONF(token_max_age,    DURATION, "session", "token_max_age",    "5m",       "1s",    "365d", LIVE,    "Oldest bootstrap token accepted, by its iat.")
CONF(anonymous,        BOOL,     "session", "anonymous",        "false",    "",      "",     LIVE,    "Sessions without any credential.")
CONF(exclusive,        BOOL,     "session", "exclusive",        "false",    "",      "",     LIVE,    "A newer connection fences off the older one.")
CONF(mailbox_messages, COUNT,    "session", "mailbox_messages", "10000",    "1",     "10000000", LIVE, "Messages a mailbox holds.")
CONF(mailbox_bytes,    SIZE,     "session", "mailbox_bytes",    "16M",      "1K",    "1T",   LIVE,    "Payload bytes a mailbox holds.")
CONF(mailbox_age,      DURATION, "session", "mailbox_age",      "0s",       "0s",    "365d", LIVE,    "Age at which a mailbox message goes; 0s: only with its session.")
CONF(mailbox_overflow, ENUM,     "session", "mailbox_overflow", "refuse",   "refuse|drop_oldest", "", LIVE, "What a full mailbox does.")
CONF(receipts,         DURATION, "session", "receipts",         "1h",       "0s",    "30d",  LIVE,    "How long the fate of a message removed unacked is known.")
CONF(max_topics,       COUNT,    "session", "max_topics",       "100",      "0",     "1000",  LIVE,   "Topics a session may subscribe to.")
CONF(max_per_subject,  COUNT,    "session", "max_per_subject",  "100",      "1",     "10000", LIVE,   "Live sessions of one subject.")
CONF(attributes_size,  SIZE,     "session", "attributes",       "4K",       "2",     "64K",  LIVE,    "Bytes of JSON attributes a session holds.")
CONF(presence_grace,   DURATION, "session", "presence_grace",   "10s",      "0s",    "10m",  LIVE,    "How long a lease outlives a connection's last sign of life.")

CONF(limit_message,    SIZE,     "limits",  "message",          "256K",     "1K",    "16M",  LIVE,    "Payload of one message.")
CONF(limit_request,    SIZE,     "limits",  "request",          "4M",       "4K",    "64M",  LIVE,    "Body of one request; at most half of shm.inbox.")
CONF(limit_bodies,     SIZE,     "limits",  "bodies",           "256M",     "4K",    "64G",  LIVE,    "Request bodies that one worker holds at a time, all of them together; past that the answer is 503.")
CONF(limit_header,     SIZE,     "limits",  "header",           "16K",      "1K",    "1M",   LIVE,    "Header section of one request, its target included.")
CONF(head_timeout,     DURATION, "limits",  "head_timeout",     "10s",      "100ms", "10m",  LIVE,    "For a whole header section to arrive.")
CONF(handshake_timeout, DURATION, "limits", "handshake_timeout", "10s",    "100ms", "10m",  LIVE,    "For a TLS handshake, from accept to its end.")
CONF(body_timeout,     DURATION, "limits",  "body_timeout",     "30s",      "100ms", "1h",   LIVE,    "For a whole body to arrive.")
CONF(idle_timeout,     DURATION, "limits",  "idle_timeout",     "75s",      "1s",    "1h",   LIVE,    "A keep-alive connection without a request.")
CONF(write_timeout,    DURATION, "limits",  "write_timeout",    "30s",      "1s",    "1h",   LIVE,    "A client that reads nothing of an answer.")
CONF(connections,      COUNT,    "limits",  "connections",      "15000",    "1",     "1000000", ROLLING, "Connections of the whole server, split over the workers.")
CONF(undecided,        COUNT,    "limits",  "undecided",        "50",       "1",     "100",  ROLLING, "Per cent of limits.connections that may be here without having said what they speak; past that the oldest of them goes.")
CONF(pipeline,         COUNT,    "limits",  "pipeline",         "16",       "1",     "1000", LIVE,    "Pipelined requests of one connection in flight before it is no longer read.")
CONF(streams,          COUNT,    "limits",  "streams",          "1000",     "1",     "10000", LIVE,   "HTTP/2 requests of one connection in flight.")
CONF(ping,             DURATION, "limits",  "ping",             "30s",      "1s",    "1h",   LIVE,    "Silence of an HTTP/2 client with open requests after which it is asked whether it lives; silent as long again, its connection is closed.")
CONF(resets,           COUNT,    "limits",  "resets",           "1000",     "10",    "1000000", LIVE, "HTTP/2 requests that one connection may cancel or break in half a minute, besides as many as it lets finish.")
CONF(control,          COUNT,    "limits",  "control_frames",   "1000",     "10",    "1000000", LIVE, "HTTP/2 frames without content that one connection may send in half a minute, besides what its requests and their answers need.")

CONF(limit_frame,      SIZE,     "limits",  "frame",            "512K",     "4K",    "64M",  LIVE,    "One message of a WebSocket client, all its fragments together.")
CONF(pending,          COUNT,    "limits",  "pending",          "100",      "1",     "10000", LIVE,   "Commands of one WebSocket in flight before it is no longer read.")
CONF(publish_rate,     COUNT,    "limits",  "publish_rate",     "1000",     "1",     "1000000", LIVE, "Publishes and subscriptions a second that one session's client may ask for by way of one worker; as many may come at once.")
CONF(presence_meta,    SIZE,     "limits",  "presence_meta",    "4K",       "2",     "64K",  LIVE,    "Bytes of JSON that a session shows of itself in a topic.")

CONF(topic_idle,       DURATION, "topics",  "idle",             "1d",       "1s",    "365d", LIVE,    "How long a topic without messages and without subscribers is remembered.")
CONF(topics_max,       COUNT,    "topics",  "max",              "1000000",  "1",     "100000000", LIVE, "Topics in the store; past that no session and no publisher makes a new one.")
CONF(topics_members,   COUNT,    "topics",  "members",          "10000",    "1",     "1000000", LIVE, "Sessions that are tracked in one topic, those that are away for the moment among them.")

CONF(shm_inbox,        RING,     "shm",     "inbox",            "16M",      "64K",   "1G",   RESTART, "Ring of commands, one per worker slot; rounded up to a power of two.")
CONF(shm_reply,        RING,     "shm",     "reply",            "4M",       "64K",   "1G",   RESTART, "Ring of completions, one per worker slot; rounded up to a power of two.")
CONF(shm_feed,         RING,     "shm",     "feed",             "32M",      "64K",   "4G",   RESTART, "The ring of live messages that all workers read; rounded up to a power of two.")

CONF(phoenix_window,   DURATION, "phoenix", "window",           "10s",      "1s",    "60s",  LIVE,    "How long a Phoenix long-poll is held.")

CONF(cors_max_age,     DURATION, "cors",    "max_age",          "10m",      "0s",    "1d",   LIVE,    "How long a browser remembers that it may call.")

CONF(server_keepalive, DURATION, "server",  "keepalive",        "15s",      "1s",    "1h",   LIVE,    "How often an event stream that has nothing to say shows life.")
CONF(server_retry,     DURATION, "server",  "retry",            "2s",       "100ms", "10m",  LIVE,    "How soon an event stream's client is advised to connect again; up to twice as long, so that not all come at once.")
CONF(server_heartbeat, DURATION, "server",  "heartbeat",        "25s",      "1s",    "10m",  LIVE,    "How often a WebSocket is asked whether it lives; after two and a half times as long without a word from it it is closed.")
CONF(ticket_rotation,  DURATION, "server",  "ticket_rotation",  "1h",       "1s",    "3d",   LIVE,    "How often the key of TLS session tickets changes; a ticket resumes for twice as long.")
CONF(server_example,   BOOL,     "server",  "example",          "false",    "",      "",     LIVE,    "Serve the example page at /example: for development.")
CONF(server_drain,     DURATION, "server",  "drain",            "20s",      "0s",    "10m",  LIVE,    "Deadline of an orderly stop.")

CONF(log_level,        ENUM,     "log",     "level",            "info",     "debug|info|warn|error", "", LIVE, "Least level written.")
CONF(log_format,       ENUM,     "log",     "format",           "json",     "json",  "",     LIVE,    "One JSON object a line.")
CONF(log_file,         PATH,     "log",     "file",             "",         "",      "",     LIVE,    "Empty is standard error.")
/* clang-format on */
