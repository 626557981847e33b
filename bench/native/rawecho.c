// Building (Linux, any C compiler; needs nothing but the C library):
//   cc -O2 -o rawecho rawecho.c
// `go run ./bench/compare` builds and runs it by itself.
//
// rawecho PORT [BUFFER_KIB=512]: one-thread epoll TCP echo with complete writes by recv and send: the floor for "one read, one write".
// build: cc -O2 -o rawecho rawecho.c
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct { char *left; size_t len, off; } pending;
static pending *pend[65536];
static int ep;

static void watch(int fd, unsigned events) { struct epoll_event e = {.events = events, .data.fd = fd}; epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e); }

static void drop(int fd) { if (pend[fd]) { free(pend[fd]->left); free(pend[fd]); pend[fd] = 0; } close(fd); }

// Writes all it can; what the socket refuses is kept, and reading of that peer stops until it has left.
static void echo(int fd, char *b, size_t n) {
  size_t o = 0;
  while (o < n) { ssize_t w = send(fd, b + o, n - o, MSG_NOSIGNAL); if (w < 0) { if (errno == EAGAIN) break; drop(fd); return; } o += w; }
  if (o == n) return;
  pending *p = calloc(1, sizeof *p); p->len = n - o; p->left = malloc(p->len); memcpy(p->left, b + o, p->len); pend[fd] = p; watch(fd, EPOLLOUT);
}

static void resume(int fd) {
  pending *p = pend[fd];
  while (p->off < p->len) { ssize_t w = send(fd, p->left + p->off, p->len - p->off, MSG_NOSIGNAL); if (w < 0) { if (errno == EAGAIN) return; drop(fd); return; } p->off += w; }
  free(p->left); free(p); pend[fd] = 0; watch(fd, EPOLLIN);
}

int main(int c, char **v) {
  size_t size = (c > 2 ? atol(v[2]) : 512) << 10; char *buf = malloc(size);
  int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1; setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, 4);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(v[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(l, (void *)&a, sizeof a) || listen(l, 4096)) { perror("listen"); return 1; }
  ep = epoll_create1(0); struct epoll_event e = {.events = EPOLLIN, .data.fd = l}, evs[512]; epoll_ctl(ep, EPOLL_CTL_ADD, l, &e);
  for (;;) {
    int n = epoll_wait(ep, evs, 512, -1);
    for (int i = 0; i < n; i++) {
      int fd = evs[i].data.fd;
      if (fd == l) {
        int s; while ((s = accept4(l, 0, 0, SOCK_NONBLOCK)) >= 0) { setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, 4); struct epoll_event x = {.events = EPOLLIN, .data.fd = s}; epoll_ctl(ep, EPOLL_CTL_ADD, s, &x); }
        continue;
      }
      if (evs[i].events & EPOLLOUT) { resume(fd); continue; }
      ssize_t r = recv(fd, buf, size, 0); if (r <= 0) { if (r < 0 && errno == EAGAIN) continue; drop(fd); continue; }
      echo(fd, buf, r);
    }
  }
}
