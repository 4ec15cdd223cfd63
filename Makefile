# restante - one non-recursive Makefile.
#
#   make                 build/restanted and build/restante
#   make check           unit tests                    make e2e     real processes, real clients
#   make chaos           minutes of random kills       make bench   figures, with conditions
#   make fuzz            libFuzzer, short              make fmt     clang-format in place
#   make lint            cppcheck, format, includes    make install DESTDIR= PREFIX=/usr
#   SAN=address|undefined|thread   the same targets, built under build/$(SAN)
#   KILL=1                         with kill points (tests only), built under build/kill

CC      ?= cc
PREFIX  ?= /usr/local
NODE    ?= node
OPT     ?= -O2 -g

B := build
ifdef SAN
B := build/$(SAN)
SANFLAGS := -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all
endif
ifdef KILL
B := build/kill
KILLFLAGS := -DRESTANTE_KILLPOINTS
endif

PKGS     := libevent_core libcjson openssl libcurl libnghttp2 libwebsockets
CPPFLAGS += -D_GNU_SOURCE -I. $(KILLFLAGS)
CFLAGS   += -std=c11 $(OPT) -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wpointer-arith -Wvla -fno-strict-aliasing -fstack-protector-strong -D_FORTIFY_SOURCE=2 \
            $(SANFLAGS) $(shell pkg-config --cflags $(PKGS))
LDLIBS   += $(shell pkg-config --libs $(PKGS)) -llmdb -lhttp_parser -lmsgpackc -lm
LDFLAGS  += $(SANFLAGS) -Wl,-z,relro,-z,now

ifdef SAN
CFLAGS := $(filter-out -D_FORTIFY_SOURCE=2,$(CFLAGS))
endif

# The mains stay out of the archive; everything else is linked from it, so that
# unit tests reach every room.
ROOMS    := common shm shm/writer worker server server/cli
SRCS     := $(sort $(foreach r,$(ROOMS),$(wildcard $(r)/*.c)))
MAINS    := server/main.c server/cli/main.c
OBJS     := $(patsubst %.c,$(B)/obj/%.o,$(filter-out $(MAINS),$(SRCS)))
LIB      := $(B)/librestante.a

UNIT_SRC := $(sort $(wildcard tests/unit/*/*_test.c tests/unit/*/*/*_test.c))
UNITS    := $(patsubst tests/unit/%.c,$(B)/unit/%,$(UNIT_SRC))
BENCH    := $(patsubst tests/bench/%.c,$(B)/bench/%,$(wildcard tests/bench/*.c))
CHAOS    := $(patsubst tests/chaos/%.c,$(B)/chaos/%,$(wildcard tests/chaos/*.c))
FUZZERS  := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/*_fuzz.c))

.PHONY: all check e2e chaos bench fuzz fmt lint install clean
all: $(B)/restanted $(B)/restante

$(B)/restanted: $(B)/obj/server/main.o $(LIB)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(B)/restante: $(B)/obj/server/cli/main.o $(LIB)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(LIB): $(OBJS)
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/obj/worker/rest_openapi.o: etc/openapi.json
$(B)/obj/worker/rest_web.o: $(wildcard worker/web/*)

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
# Allocations of a unit test pass through tests/unit/failmalloc.c, so that any of them can fail.
WRAPPED  := malloc calloc realloc reallocarray strdup strndup aligned_alloc
FAILMALLOC := $(B)/obj/tests/unit/failmalloc.o
.SECONDARY: $(FAILMALLOC)
$(B)/unit/%: tests/unit/%.c $(FAILMALLOC) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -MT $@ -MF $@.d $(LDFLAGS) $(WRAPPED:%=-Wl,--wrap=%) \
	    -o $@ $< $(FAILMALLOC) $(LIB) -lcmocka $(LDLIBS)
$(B)/bench/%: tests/bench/%.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS)
$(B)/chaos/%: tests/chaos/%.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS)

check: $(UNITS)
	@scripts/run-units $(UNITS)
e2e: all
	@scripts/run-e2e
chaos: all
	@scripts/run-chaos
bench: all $(BENCH)
	@scripts/run-bench
fuzz:
	@scripts/run-fuzz
fmt:
	clang-format -i $$(git ls-files '*.c' '*.h')
lint:
	@scripts/lint

install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/doc/restante
	install -m 755 $(B)/restanted $(DESTDIR)$(PREFIX)/sbin/restanted
	install -m 755 $(B)/restante $(DESTDIR)$(PREFIX)/bin/restante
	install -m 644 README.md LICENSE etc/restante.conf.sample $(DESTDIR)$(PREFIX)/share/doc/restante/

clean:
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
