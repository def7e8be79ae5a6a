/*
 * Echo with plain events, for benches/echo: what is read is sent at once; what does not go out is
 * kept, and nothing more is read before it is gone. Prints its port.
 */
#include "echo.h"
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
	struct event *reader, *writer;
	char *rest;
	size_t length, sent;
};

static void
close_connection(struct connection *connection)
{
	evutil_socket_t fd = event_get_fd(connection->reader);
	event_free(connection->reader);
	event_free(connection->writer);
	close(fd);
	free(connection->rest);
	free(connection);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct connection *connection = arg;
	char buffer[64 * 1024];
	ssize_t received, sent;

	(void)what;
	received = recv(fd, buffer, sizeof(buffer), 0);
	if (received < 0 && errno == EAGAIN)
		return;
	if (received <= 0) {
		close_connection(connection);
		return;
	}
	sent = send(fd, buffer, received, MSG_NOSIGNAL);
	if (sent == received)
		return;
	if (sent < 0 && errno != EAGAIN) {
		close_connection(connection);
		return;
	}
	if (sent < 0)
		sent = 0;
	connection->length = received - sent;
	connection->sent = 0;
	connection->rest = malloc(connection->length);
	memcpy(connection->rest, buffer + sent, connection->length);
	event_del(connection->reader);
	event_add(connection->writer, NULL);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct connection *connection = arg;
	ssize_t sent = send(fd, connection->rest + connection->sent,
	    connection->length - connection->sent, MSG_NOSIGNAL);

	(void)what;
	if (sent < 0) {
		if (errno != EAGAIN)
			close_connection(connection);
		return;
	}
	connection->sent += sent;
	if (connection->sent < connection->length)
		return;
	free(connection->rest);
	connection->rest = NULL;
	event_del(connection->writer);
	event_add(connection->reader, NULL);
}

static void
on_accepted(struct event_base *base, evutil_socket_t fd)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	connection->reader = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, connection);
	connection->writer = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, connection);
	event_add(connection->reader, NULL);
}
