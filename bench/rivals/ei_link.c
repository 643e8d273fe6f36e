/* `ei`'s side of `cargo xtask bench link`: a C node that measures what it is asked to.
 *
 * `ei_link NAME`: by lines on stdin, `METHOD TARGET COUNT` does that COUNT times to that node and answers with the
 * nanoseconds it took.
 *
 * rpc    ei_rpc of erlang:node/0
 * small  ei_reg_send to `sink`
 */
#include <arpa/inet.h>
#include <ei.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static ei_cnode self;
static char connected[256];
static int fd = -1;

static void fail(const char *what) {
    fprintf(stderr, "ei: %s\n", what);
    exit(1);
}

static void check(int result, const char *what) {
    if (result < 0) fail(what);
}

static long long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void connect_to(char *node) {
    if (fd >= 0 && strcmp(connected, node) == 0) return;
    if (fd >= 0) ei_close_connection(fd);
    fd = ei_connect(&self, node);
    check(fd, "ei_connect");
    strncpy(connected, node, sizeof connected - 1);
}

static void rpc(long count) {
    for (long i = 0; i < count; i++) {
        ei_x_buff args, answer;
        ei_x_new(&args);
        ei_x_encode_empty_list(&args);
        ei_x_new(&answer);
        check(ei_rpc(&self, fd, "erlang", "node", args.buff, args.index, &answer), "ei_rpc");
        ei_x_free(&args);
        ei_x_free(&answer);
    }
}

static void small(long count) {
    ei_x_buff term;
    ei_x_new(&term);
    for (long i = 0; i < count; i++) {
        term.index = 0;
        ei_x_encode_version(&term);
        ei_x_encode_tuple_header(&term, 3);
        ei_x_encode_atom(&term, "small");
        ei_x_encode_long(&term, 12345);
        ei_x_encode_binary(&term, "text", 4);
        check(ei_reg_send(&self, fd, "sink", term.buff, term.index), "ei_reg_send");
    }
    term.index = 0;
    ei_x_encode_version(&term);
    ei_x_encode_tuple_header(&term, 2);
    ei_x_encode_pid(&term, ei_self(&self));
    ei_x_encode_atom(&term, "sync");
    check(ei_reg_send(&self, fd, "sink", term.buff, term.index), "ei_reg_send");
    ei_x_buff answer;
    ei_x_new(&answer);
    erlang_msg message;
    int got;
    do {
        answer.index = 0;
        got = ei_xreceive_msg(fd, &message, &answer);
        check(got, "ei_xreceive_msg");
    } while (got != ERL_MSG);
    ei_x_free(&term);
    ei_x_free(&answer);
}

int main(int argc, char **argv) {
    if (argc != 2) fail("usage: ei_link NAME");
    ei_init();
    char node[300];
    snprintf(node, sizeof node, "%s@localhost", argv[1]);
    struct in_addr address = {htonl(INADDR_LOOPBACK)};
    check(ei_connect_xinit(&self, "localhost", argv[1], node, &address, "bench", 1), "ei_connect_xinit");
    puts("ready");
    fflush(stdout);
    char line[1024], method[64], target[256];
    long count;
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "%63s %255s %ld", method, target, &count) != 3) fail("not METHOD TARGET COUNT");
        connect_to(target);
        long long start = now();
        if (strcmp(method, "rpc") == 0) rpc(count);
        else if (strcmp(method, "small") == 0) small(count);
        else fail("no such method");
        printf("%lld\n", now() - start);
        fflush(stdout);
    }
    return 0;
}
