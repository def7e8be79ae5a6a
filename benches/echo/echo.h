/*
 * What the echo servers in C share: a listener on a port of the system's choice, which is printed,
 * and an answer to each byte on the standard input: the bytes that the allocator has given out.
 *
 * A program includes this first and defines on_accepted.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/thread.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void on_accepted(struct event_base *base, evutil_socket_t fd);

/* Of the program, ended by NULL. */
static char **arguments;

static void
on_connection(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer, int length,
    void *arg)
{
	int on = 1;

	(void)peer;
	(void)length;
	(void)arg;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	on_accepted(evconnlistener_get_base(listener), fd);
}

static void
on_question(evutil_socket_t fd, short what, void *arg)
{
	char question;
	struct mallinfo2 info;

	(void)what;
	if (read(fd, &question, 1) != 1) {
		event_base_loopbreak(arg);
		return;
	}
	info = mallinfo2();
	printf("%zu\n", info.uordblks + info.hblkhd);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	struct sockaddr_in address;
	socklen_t length = sizeof(address);
	struct event_base *base;
	struct evconnlistener *listener;
	struct event *question;

	(void)argc;
	arguments = argv + 1;
	signal(SIGPIPE, SIG_IGN);
	/* As the crate does before the first base. */
	evthread_use_pthreads();
	base = event_base_new();
	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = evconnlistener_new_bind(base, on_connection, NULL,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 1024, (struct sockaddr *)&address, sizeof(address));
	if (!listener)
		return 1;
	question = event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, on_question, base);
	event_add(question, NULL);
	getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &length);
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	return event_base_dispatch(base) < 0;
}
