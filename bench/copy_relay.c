/* A relay that only copies: what a proxy costs that looks at nothing (Linux).
 *
 *     copy_relay LISTEN_PORT UPSTREAM_PORT      both on 127.0.0.1
 *
 * One thread, one epoll, one buffer; a chunk is read and written at once. A peer that does not take
 * it is waited for, which no proxy may do, so this is a limit and not an alternative.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 256 * 1024, EVENTS = 64, FILES = 65536 };

static char buffer[BUFFER];
static int peers[FILES]; /* the other side of each socket; 0: none */

static struct sockaddr_in address(int port)
{
    struct sockaddr_in found = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    found.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return found;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void watch(int epoll, int file)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = file};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, file, &event))
        fail("epoll_ctl");
}

static void join(int epoll, int listener, int upstream_port)
{
    struct sockaddr_in upstream = address(upstream_port);
    int one = 1, frontend = accept(listener, NULL, NULL);
    int backend = socket(AF_INET, SOCK_STREAM, 0);
    if (frontend < 0 || backend < 0)
        fail("accept");
    if (frontend >= FILES || backend >= FILES ||
        connect(backend, (struct sockaddr *)&upstream, sizeof upstream)) {
        close(frontend);
        close(backend);
        return;
    }
    setsockopt(frontend, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(backend, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    peers[frontend] = backend;
    peers[backend] = frontend;
    watch(epoll, frontend);
    watch(epoll, backend);
}

static void end(int file)
{
    int peer = peers[file];
    peers[file] = peers[peer] = 0;
    close(file);
    close(peer);
}

static void copy(int file)
{
    ssize_t size = recv(file, buffer, BUFFER, MSG_DONTWAIT), sent, done = 0;
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    while (size > 0 && done < size) {
        sent = send(peers[file], buffer + done, (size_t)(size - done), MSG_NOSIGNAL);
        if (sent < 0)
            size = -1;
        else
            done += sent;
    }
    if (size <= 0)
        end(file);
}

int main(int count, char **arguments)
{
    struct epoll_event events[EVENTS];
    struct sockaddr_in own;
    int listener, epoll, one = 1, i, ready;
    if (count != 3) {
        fprintf(stderr, "copy_relay LISTEN_PORT UPSTREAM_PORT\n");
        return 2;
    }
    own = address(atoi(arguments[1]));
    listener = socket(AF_INET, SOCK_STREAM, 0);
    epoll = epoll_create1(0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (listener < 0 || epoll < 0 || bind(listener, (struct sockaddr *)&own, sizeof own) ||
        listen(listener, 1024))
        fail("listen");
    watch(epoll, listener);
    for (;;) {
        ready = epoll_wait(epoll, events, EVENTS, -1);
        for (i = 0; i < ready; i++) {
            if (events[i].data.fd == listener)
                join(epoll, listener, atoi(arguments[2]));
            else if (peers[events[i].data.fd])
                copy(events[i].data.fd);
        }
    }
}
