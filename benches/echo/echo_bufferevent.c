/*
 * Echo with bufferevents, for benches/echo: as in libevent's examples, the input is moved to the
 * output. Prints its port.
 *
 * Arguments change that by what a C program can do with public functions in its callbacks:
 * read-on         what libevent 2.1 leaves in the socket after its 4096 bytes is read at once
 * write-at-once   the output is sent when the callback is done, and only what the socket does not
 *                 take waits for EV_WRITE
 */
#include "echo.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <sys/uio.h>

#define READ_BY_LIBEVENT 4096
#define BUDGET (60 * 1024)

static int reads_on, writes_at_once;

static void
read_on(struct bufferevent *bev)
{
	struct evbuffer *input = bufferevent_get_input(bev);
	struct evbuffer_iovec extents[2];
	ssize_t received, left;
	int count, used;

	if (evbuffer_get_length(input) < READ_BY_LIBEVENT)
		return;
	evbuffer_unfreeze(input, 0);
	count = evbuffer_reserve_space(input, BUDGET, extents, 2);
	received = readv(bufferevent_getfd(bev), (struct iovec *)extents, count);
	/* The end and errors are libevent's to find. */
	for (used = 0, left = received; used < count && left > 0; used++) {
		if (extents[used].iov_len > (size_t)left)
			extents[used].iov_len = left;
		left -= extents[used].iov_len;
	}
	if (used > 0)
		evbuffer_commit_space(input, extents, used);
	evbuffer_freeze(input, 0);
}

static void
write_at_once(struct bufferevent *bev)
{
	struct evbuffer *output = bufferevent_get_output(bev);

	evbuffer_unfreeze(output, 1);
	evbuffer_write(output, bufferevent_getfd(bev));
	evbuffer_freeze(output, 1);
	if (evbuffer_get_length(output) > 0)
		bufferevent_enable(bev, EV_WRITE);
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	(void)arg;
	if (reads_on)
		read_on(bev);
	bufferevent_write_buffer(bev, bufferevent_get_input(bev));
	if (writes_at_once && !(bufferevent_get_enabled(bev) & EV_WRITE))
		write_at_once(bev);
}

static void
on_written(struct bufferevent *bev, void *arg)
{
	(void)arg;
	bufferevent_disable(bev, EV_WRITE);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)arg;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		bufferevent_free(bev);
}

static int
has_argument(const char *word)
{
	char **argument = arguments;

	while (*argument && strcmp(*argument, word) != 0)
		argument++;
	return *argument != NULL;
}

static void
on_accepted(struct event_base *base, evutil_socket_t fd)
{
	struct bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

	reads_on = has_argument("read-on");
	writes_at_once = has_argument("write-at-once");
	bufferevent_setcb(bev, on_read, writes_at_once ? on_written : NULL, on_event, NULL);
	bufferevent_enable(bev, writes_at_once ? EV_READ : EV_READ | EV_WRITE);
	if (writes_at_once)
		bufferevent_disable(bev, EV_WRITE);
}
