/*
 * The workload of libevent's bench.c, in C, for benches/events.rs: a ring of socket pairs in which
 * each event reads a byte and writes one to the next, with `active` bytes under way at a time.
 *
 * events PIPES ACTIVE WRITES RUNS LOCKS  ->  prints the microseconds of all runs.
 */
#include <event2/event.h>
#include <event2/thread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

struct ring {
	long count, fired, failures;
	int writes, pipes;
	evutil_socket_t *fds;
};

struct watcher {
	struct ring *ring;
	int index;
};

static void
on_read(evutil_socket_t fd, short what, void *arg)
{
	struct watcher *watcher = arg;
	struct ring *ring = watcher->ring;
	unsigned char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	(void)what;
	if (n >= 0)
		ring->count += n;
	else
		ring->failures++;
	if (ring->writes) {
		int next = watcher->index + 1;
		if (next >= ring->pipes)
			next -= ring->pipes;
		if (send(ring->fds[2 * next + 1], "e", 1, 0) != 1)
			ring->failures++;
		ring->writes--;
		ring->fired++;
	}
}

static double
now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

int
main(int argc, char **argv)
{
	struct ring ring = { 0, 0, 0, 0, 0, NULL };
	struct event_base *base;
	struct event **events;
	struct watcher *watchers;
	int active, writes, runs, i, run;
	double us = 0;

	if (argc != 6)
		return 2;
	ring.pipes = atoi(argv[1]);
	active = atoi(argv[2]);
	writes = atoi(argv[3]);
	runs = atoi(argv[4]);
	if (atoi(argv[5]) && evthread_use_pthreads() != 0)
		return 1;

	base = event_base_new();
	ring.fds = calloc(2 * ring.pipes, sizeof(*ring.fds));
	events = calloc(ring.pipes, sizeof(*events));
	watchers = calloc(ring.pipes, sizeof(*watchers));
	for (i = 0; i < ring.pipes; i++) {
		if (evutil_socketpair(AF_UNIX, SOCK_STREAM, 0, ring.fds + 2 * i) != 0)
			return 1;
		watchers[i].ring = &ring;
		watchers[i].index = i;
		events[i] = event_new(base, ring.fds[2 * i], EV_READ | EV_PERSIST, on_read, &watchers[i]);
		event_add(events[i], NULL);
	}
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);

	for (run = 0; run < runs; run++) {
		double begin;
		ring.count = ring.fired = 0;
		ring.writes = writes;
		for (i = 0; i < active; i++, ring.fired++)
			if (send(ring.fds[2 * (i * (ring.pipes / active)) + 1], "e", 1, 0) != 1)
				return 1;
		begin = now_us();
		do {
			event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		} while (ring.count != ring.fired);
		us += now_us() - begin;
	}
	if (ring.failures)
		return 1;
	printf("%.1f\n", us);
	for (i = 0; i < ring.pipes; i++)
		event_free(events[i]);
	event_base_free(base);
	return 0;
}
