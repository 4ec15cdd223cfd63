/* conf_item_table - the settings of sections that have a title, and the lists.
 *
 *   ITEM(struct, field, TYPE, section, name, default, min, max, APPLIES, help)
 *
 * As conf_table.h, with the struct of conf.h that holds the field. More types: SWITCH (an ENUM of
 * two, kept as a bool: true is the second), SHA256 (64 hex digits), SECRET (bytes and a length in
 * <field>_len; never shown), LIST (strings, and their number in n<field>; min is the kind of
 * string, one of conf_list.c; the default is "a|b"; a list of the kind "path" may be written as one
 * value, and its paths are kept as PATH keeps them). A default of NULL: none; whether the setting
 * may be absent is for conf_cross.c to say.
 */
/* clang-format off */
ITEM(conf_listen,    certificate, LIST,   "listen.tls", "certificate", NULL, "path", "", ROLLING, "PEM file of a certificate and the chain behind it. A list serves several names (SNI); the first is the default.")
ITEM(conf_listen,    key,         LIST,   "listen.tls", "key",         NULL, "path", "", ROLLING, "PEM file of its private key; of a list, the one in the same place.")

ITEM(conf_token_key, algorithm,   ENUM,   "token_key",  "algorithm",   "HS256", "HS256", "", LIVE, "How tokens of this key are signed.")
ITEM(conf_token_key, secret,      SECRET, "token_key",  "secret",      NULL, "", "", LIVE, "At least 32 bytes; this or secret_file.")
ITEM(conf_token_key, secret_file, PATH,   "token_key",  "secret_file", NULL, "", "", LIVE, "The file that holds the secret.")

ITEM(conf_api_key,   sha256,      SHA256, "api_key",    "sha256",      NULL, "", "", LIVE, "SHA-256 of the key, in hexadecimal.")
ITEM(conf_api_key,   scopes,      LIST,   "api_key",    "scopes",      NULL, "scope", "", LIVE, "What the key may do.")

ITEM(conf_namespace, history,     COUNT,  "namespace",  "history",     "1000", "0",  "10000000", LIVE, "Messages a topic keeps; 0: every message is ephemeral.")
ITEM(conf_namespace, bytes,       SIZE,   "namespace",  "bytes",       "16M",  "1K", "1T",   LIVE, "Payload bytes a topic keeps.")
ITEM(conf_namespace, ttl_ms,      DURATION, "namespace", "ttl",        "1h",   "1s", "365d", LIVE, "Age at which a topic's message goes.")
ITEM(conf_namespace, presence,    BOOL,   "namespace",  "presence",    "false", "", "", LIVE, "Whether a topic knows who is there.")
ITEM(conf_namespace, client_publish, SWITCH, "namespace", "publish",   "server", "server|client", "", LIVE, "Who may publish: API keys only, or sessions that may join too.")
ITEM(conf_namespace, join_claim,  SWITCH, "namespace",  "join",        "open", "open|claim", "", LIVE, "Who may join: every session, or those whose token names the topic.")
ITEM(conf_namespace, latest,      BOOL,   "namespace",  "latest",      "false", "", "", LIVE, "Latest-value mode: a message replaces the one before it.")
ITEM(conf_namespace, on_push,     ENUM,   "namespace",  "on_push",     "broadcast", "broadcast|broadcast_self|mailbox|ack|deny", "", LIVE, "What an event pushed by a Phoenix client does.")

ITEM(conf,           cors_origins, LIST,  "cors",       "origins",     "", "origin", "", LIVE, "Origins whose pages may call; https://*.example.com: every name below it; *: all.")
ITEM(conf,           phoenix_mounts, LIST, "phoenix",   "mounts",      "/socket|/realtime/v1", "mount", "", LIVE, "Paths under which Phoenix clients connect.")
ITEM(conf,           phoenix_check_origin, LIST, "phoenix", "check_origin", "", "socket origin", "", LIVE, "Origins that may connect; empty: every one.")
/* clang-format on */
