/* `ei`'s side of `cargo xtask bench etf`.
 *
 * Reads the payloads from the folder it is given, then measures what it is asked to by lines on stdin:
 * `METHOD PAYLOAD COUNT` does that COUNT times and answers with the nanoseconds it took.
 *
 * decode.walk   any term, by ei_get_type and the ei_decode_* that fits; binaries copied out, as ei does
 * decode.typed  into C structs, by the ei_decode_* that the program expects, as one writes it by hand
 * decode.skip   ei_skip_term: looks at every byte and keeps nothing
 * encode.x      out of the same C structs by ei_x_encode_*, into a buffer that is used again
 */
#include <ei.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    char *bytes;
    int len;
} file;

static void fail(const char *what, const char *name) {
    fprintf(stderr, "ei: %s %s\n", what, name);
    exit(1);
}

static void check(int result) {
    if (result < 0) fail("a call failed", "");
}

static file read_file(const char *dir, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    if (!f) fail("cannot open", path);
    fseek(f, 0, SEEK_END);
    file out = {0};
    out.len = (int)ftell(f);
    rewind(f);
    out.bytes = malloc((size_t)out.len);
    if (!out.bytes || fread(out.bytes, 1, (size_t)out.len, f) != (size_t)out.len) fail("cannot read", path);
    fclose(f);
    return out;
}

/* Where texts and binaries are copied to. */
static char scratch[2 << 20];
/* What was read is added up in here, so that no call can be left out. */
static volatile long sum;

/* --- any term --- */

static long walk(const char *buf, int *at) {
    int type, size, arity;
    long total = 1, value, len;
    double real;
    char atom[MAXATOMLEN_UTF8];
    erlang_pid pid;
    erlang_ref ref;
    ei_get_type(buf, at, &type, &size);
    switch (type) {
    case ERL_SMALL_INTEGER_EXT:
    case ERL_INTEGER_EXT:
    case ERL_SMALL_BIG_EXT:
        check(ei_decode_long(buf, at, &value));
        return total + value;
    case ERL_ATOM_EXT:
    case ERL_SMALL_ATOM_EXT:
    case ERL_ATOM_UTF8_EXT:
    case ERL_SMALL_ATOM_UTF8_EXT:
        check(ei_decode_atom(buf, at, atom));
        return total + atom[0];
    case ERL_FLOAT_EXT:
    case NEW_FLOAT_EXT:
        check(ei_decode_double(buf, at, &real));
        return total + (long)real;
    case ERL_SMALL_TUPLE_EXT:
    case ERL_LARGE_TUPLE_EXT:
        check(ei_decode_tuple_header(buf, at, &arity));
        while (arity-- > 0) total += walk(buf, at);
        return total;
    case ERL_LIST_EXT:
        check(ei_decode_list_header(buf, at, &arity));
        while (arity-- > 0) total += walk(buf, at);
        return total + walk(buf, at);
    case ERL_NIL_EXT:
        check(ei_decode_list_header(buf, at, &arity));
        return total;
    case ERL_MAP_EXT:
        check(ei_decode_map_header(buf, at, &arity));
        for (arity *= 2; arity > 0; arity--) total += walk(buf, at);
        return total;
    case ERL_STRING_EXT:
        check(ei_decode_string(buf, at, scratch));
        return total + scratch[0];
    case ERL_BINARY_EXT:
        check(ei_decode_binary(buf, at, scratch, &len));
        return total + len;
    case ERL_PID_EXT:
    case ERL_NEW_PID_EXT:
        check(ei_decode_pid(buf, at, &pid));
        return total + (long)pid.num;
    case ERL_NEW_REFERENCE_EXT:
    case ERL_NEWER_REFERENCE_EXT:
        check(ei_decode_ref(buf, at, &ref));
        return total + (long)ref.n[0];
    default:
        fail("no such term", "");
        return 0;
    }
}

/* --- as the program expects them --- */

static void atom_is(const char *buf, int *at, const char *expected) {
    char atom[MAXATOMLEN_UTF8];
    if (ei_decode_atom(buf, at, atom) || strcmp(atom, expected)) fail("expected the atom", expected);
}

static void nil(const char *buf, int *at) {
    int arity;
    if (ei_decode_list_header(buf, at, &arity) || arity) fail("expected", "[]");
}

static void tuple_of(const char *buf, int *at, int expected) {
    int arity;
    if (ei_decode_tuple_header(buf, at, &arity) || arity != expected) fail("expected", "a tuple");
}

static int list(const char *buf, int *at) {
    int arity;
    check(ei_decode_list_header(buf, at, &arity));
    return arity;
}

static int text(const char *buf, int *at, char *out) {
    long len;
    check(ei_decode_binary(buf, at, out, &len));
    return (int)len;
}

static long integer(const char *buf, int *at) {
    long value;
    check(ei_decode_long(buf, at, &value));
    return value;
}

static struct {
    long left, right;
} rows[100][64];

static void read_list(const char *buf, int *at) {
    int lists = list(buf, at);
    for (int i = 0; i < lists; i++) {
        int tuples = list(buf, at);
        for (int j = 0; j < tuples; j++) {
            tuple_of(buf, at, 3);
            rows[i][j].left = integer(buf, at);
            atom_is(buf, at, "ok");
            rows[i][j].right = integer(buf, at);
        }
        nil(buf, at);
    }
    nil(buf, at);
}

static void write_list(ei_x_buff *x) {
    ei_x_encode_list_header(x, 100);
    for (int i = 0; i < 100; i++) {
        ei_x_encode_list_header(x, 64);
        for (int j = 0; j < 64; j++) {
            ei_x_encode_tuple_header(x, 3);
            ei_x_encode_long(x, rows[i][j].left);
            ei_x_encode_atom(x, "ok");
            ei_x_encode_long(x, rows[i][j].right);
        }
        ei_x_encode_empty_list(x);
    }
    ei_x_encode_empty_list(x);
}

static struct {
    char key[16];
    int len;
    long value;
} pairs[10000];

static void read_map(const char *buf, int *at) {
    int arity;
    check(ei_decode_map_header(buf, at, &arity));
    for (int i = 0; i < arity; i++) {
        pairs[i].len = text(buf, at, pairs[i].key);
        pairs[i].value = integer(buf, at);
    }
}

static void write_map(ei_x_buff *x) {
    ei_x_encode_map_header(x, 10000);
    for (int i = 0; i < 10000; i++) {
        ei_x_encode_binary(x, pairs[i].key, pairs[i].len);
        ei_x_encode_long(x, pairs[i].value);
    }
}

static char blob[1 << 20];
static int blob_len;

static void read_bin(const char *buf, int *at) {
    tuple_of(buf, at, 2);
    atom_is(buf, at, "blob");
    blob_len = text(buf, at, blob);
}

static void write_bin(ei_x_buff *x) {
    ei_x_encode_tuple_header(x, 2);
    ei_x_encode_atom(x, "blob");
    ei_x_encode_binary(x, blob, blob_len);
}

static struct {
    long depth, leaf;
} levels[20][1000];

static void read_deep(const char *buf, int *at) {
    int trees = list(buf, at);
    for (int i = 0; i < trees; i++) {
        for (int j = 0; j < 1000; j++) {
            tuple_of(buf, at, 4);
            atom_is(buf, at, "node");
            levels[i][j].depth = integer(buf, at);
            tuple_of(buf, at, 2);
            atom_is(buf, at, "leaf");
            levels[i][j].leaf = integer(buf, at);
        }
        atom_is(buf, at, "leaf");
    }
    nil(buf, at);
}

static void write_deep(ei_x_buff *x) {
    ei_x_encode_list_header(x, 20);
    for (int i = 0; i < 20; i++) {
        for (int j = 0; j < 1000; j++) {
            ei_x_encode_tuple_header(x, 4);
            ei_x_encode_atom(x, "node");
            ei_x_encode_long(x, levels[i][j].depth);
            ei_x_encode_tuple_header(x, 2);
            ei_x_encode_atom(x, "leaf");
            ei_x_encode_long(x, levels[i][j].leaf);
        }
        ei_x_encode_atom(x, "leaf");
    }
    ei_x_encode_empty_list(x);
}

static struct {
    long id, age;
    char name[32], email[48];
    int name_len, email_len, active;
    double score;
    char tags[2][16];
} customers[10000];

static void read_structs(const char *buf, int *at) {
    int maps = list(buf, at);
    for (int i = 0; i < maps; i++) {
        int arity;
        char key[MAXATOMLEN_UTF8];
        check(ei_decode_map_header(buf, at, &arity));
        for (int j = 0; j < arity; j++) {
            check(ei_decode_atom(buf, at, key));
            if (!strcmp(key, "id")) customers[i].id = integer(buf, at);
            else if (!strcmp(key, "name")) customers[i].name_len = text(buf, at, customers[i].name);
            else if (!strcmp(key, "email")) customers[i].email_len = text(buf, at, customers[i].email);
            else if (!strcmp(key, "age")) customers[i].age = integer(buf, at);
            else if (!strcmp(key, "score")) check(ei_decode_double(buf, at, &customers[i].score));
            else if (!strcmp(key, "active")) check(ei_decode_boolean(buf, at, &customers[i].active));
            else if (!strcmp(key, "address")) atom_is(buf, at, "nil");
            else if (!strcmp(key, "__struct__")) atom_is(buf, at, "Elixir.Shop.Customer");
            else if (!strcmp(key, "tags")) {
                int tags = list(buf, at);
                for (int k = 0; k < tags; k++) check(ei_decode_atom(buf, at, customers[i].tags[k]));
                nil(buf, at);
            } else fail("no such key:", key);
        }
    }
    nil(buf, at);
}

static void write_structs(ei_x_buff *x) {
    ei_x_encode_list_header(x, 10000);
    for (int i = 0; i < 10000; i++) {
        ei_x_encode_map_header(x, 9);
        ei_x_encode_atom(x, "__struct__");
        ei_x_encode_atom(x, "Elixir.Shop.Customer");
        ei_x_encode_atom(x, "active");
        ei_x_encode_boolean(x, customers[i].active);
        ei_x_encode_atom(x, "address");
        ei_x_encode_atom(x, "nil");
        ei_x_encode_atom(x, "age");
        ei_x_encode_long(x, customers[i].age);
        ei_x_encode_atom(x, "email");
        ei_x_encode_binary(x, customers[i].email, customers[i].email_len);
        ei_x_encode_atom(x, "id");
        ei_x_encode_long(x, customers[i].id);
        ei_x_encode_atom(x, "name");
        ei_x_encode_binary(x, customers[i].name, customers[i].name_len);
        ei_x_encode_atom(x, "score");
        ei_x_encode_double(x, customers[i].score);
        ei_x_encode_atom(x, "tags");
        ei_x_encode_list_header(x, 2);
        ei_x_encode_atom(x, customers[i].tags[0]);
        ei_x_encode_atom(x, customers[i].tags[1]);
        ei_x_encode_empty_list(x);
    }
    ei_x_encode_empty_list(x);
}

static struct {
    erlang_pid from;
    erlang_ref tag;
    char key[32];
    int key_len;
    long timeout;
} call;

static void read_call(const char *buf, int *at) {
    tuple_of(buf, at, 3);
    atom_is(buf, at, "$gen_call");
    tuple_of(buf, at, 2);
    check(ei_decode_pid(buf, at, &call.from));
    list(buf, at);
    atom_is(buf, at, "alias");
    check(ei_decode_ref(buf, at, &call.tag));
    tuple_of(buf, at, 3);
    atom_is(buf, at, "get");
    call.key_len = text(buf, at, call.key);
    list(buf, at);
    tuple_of(buf, at, 2);
    atom_is(buf, at, "timeout");
    call.timeout = integer(buf, at);
    nil(buf, at);
}

static void write_call(ei_x_buff *x) {
    ei_x_encode_tuple_header(x, 3);
    ei_x_encode_atom(x, "$gen_call");
    ei_x_encode_tuple_header(x, 2);
    ei_x_encode_pid(x, &call.from);
    ei_x_encode_list_header(x, 1);
    ei_x_encode_atom(x, "alias");
    ei_x_encode_ref(x, &call.tag);
    ei_x_encode_tuple_header(x, 3);
    ei_x_encode_atom(x, "get");
    ei_x_encode_binary(x, call.key, call.key_len);
    ei_x_encode_list_header(x, 1);
    ei_x_encode_tuple_header(x, 2);
    ei_x_encode_atom(x, "timeout");
    ei_x_encode_long(x, call.timeout);
    ei_x_encode_empty_list(x);
}

/* --- */

static struct payload {
    const char *name;
    void (*read)(const char *, int *);
    void (*write)(ei_x_buff *);
    file input;
} payloads[] = {
    {"list", read_list, write_list, {0}},       {"map", read_map, write_map, {0}},
    {"bin", read_bin, write_bin, {0}},          {"deep", read_deep, write_deep, {0}},
    {"structs", read_structs, write_structs, {0}}, {"call", read_call, write_call, {0}},
};
#define PAYLOADS (int)(sizeof payloads / sizeof payloads[0])

static ei_x_buff out;

static void work(const char *method, struct payload *payload) {
    const char *buf = payload->input.bytes;
    int at = 0, version;
    if (!strcmp(method, "encode.x")) {
        out.index = 0;
        ei_x_encode_version(&out);
        payload->write(&out);
        sum += out.index;
        return;
    }
    check(ei_decode_version(buf, &at, &version));
    if (!strcmp(method, "decode.walk")) sum += walk(buf, &at);
    else if (!strcmp(method, "decode.typed")) payload->read(buf, &at);
    else if (!strcmp(method, "decode.skip")) check(ei_skip_term(buf, &at));
    else fail("no such method:", method);
    if (at != payload->input.len) fail("did not read all of", payload->name);
}

/* That what is measured does what it should: the structs give the bytes that the BEAM gives. */
static void verify(const char *dir, struct payload *payload) {
    char name[64];
    snprintf(name, sizeof name, "%s.deterministic.etf", payload->name);
    file expected = read_file(dir, name);
    payload->input = expected;
    work("decode.typed", payload);
    work("encode.x", payload);
    if (out.index != expected.len || memcmp(out.buff, expected.bytes, (size_t)expected.len))
        fail("writes other bytes than the BEAM:", payload->name);
    free(expected.bytes);
    snprintf(name, sizeof name, "%s.etf", payload->name);
    payload->input = read_file(dir, name);
}

int main(int argc, char **argv) {
    char method[32], name[32];
    long count;
    if (argc != 2) fail("usage:", "ei_etf DIR");
    ei_init();
    ei_x_new(&out);
    for (int i = 0; i < PAYLOADS; i++) verify(argv[1], &payloads[i]);
    printf("ready\n");
    fflush(stdout);
    while (scanf("%31s %31s %ld", method, name, &count) == 3) {
        struct payload *payload = NULL;
        for (int i = 0; i < PAYLOADS; i++)
            if (!strcmp(payloads[i].name, name)) payload = &payloads[i];
        if (!payload) fail("no such payload:", name);
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        for (long i = 0; i < count; i++) work(method, payload);
        clock_gettime(CLOCK_MONOTONIC, &end);
        printf("%lld\n", (end.tv_sec - start.tv_sec) * 1000000000LL + (end.tv_nsec - start.tv_nsec));
        fflush(stdout);
    }
    return 0;
}
